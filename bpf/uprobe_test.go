package bpf

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// probed is a function to probe in the test binary itself.
//
//go:noinline
func probed(n int) int {
	if n > 1 {
		return n * 2
	}
	return n
}

const self = "/proc/self/exe"

// probedOffset is where probed lies in the test binary, which "go test" links without symbols.
func probedOffset(t *testing.T) uint64 {
	t.Helper()
	x, err := openExecutable(self)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	if x.file.Type != elf.ET_EXEC {
		t.Skip("the test binary is loaded at a random address")
	}
	off, ok := x.offset(uint64(reflect.ValueOf(probed).Pointer()))
	if !ok {
		t.Fatal("the test binary has no code for its own function")
	}
	return off
}

func callProbed() { sink = probed(1) }

// sink keeps the compiler from leaving the calls out.
var sink int

func TestUprobeRuns(t *testing.T) {
	_, p := loadHook(t, "trace", "up")
	checkRuns(t, mustAttach(t, p, Target{Path: self, Offset: probedOffset(t)}), callProbed)
}

func TestUprobeOfOneProcess(t *testing.T) {
	o, p := loadHook(t, "trace", "up")
	offset := probedOffset(t)
	checkRuns(t, mustAttach(t, p, Target{Path: self, Offset: offset, PID: os.Getpid()}), callProbed)
	l := mustAttach(t, p, Target{Path: self, Offset: offset, PID: os.Getppid()})
	before := hits(t, o)
	callProbed()
	if got := hits(t, o); got != before {
		t.Error("the probe of another process ran in ours")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestUprobeByOffset(t *testing.T) {
	_, p := loadHook(t, "trace", "up")
	target, err := ParseTarget(HookUprobe, fmt.Sprintf("%s:%#x", self, probedOffset(t)))
	if err != nil {
		t.Fatal(err)
	}
	checkRuns(t, mustAttach(t, p, target), callProbed)
}

func TestUprobeOfTheSectionName(t *testing.T) {
	_, p := loadHook(t, "trace", "up_named")
	checkRuns(t, mustAttach(t, p, Target{}), runTrue(t))
}

func TestUprobeOfALibraryByName(t *testing.T) {
	_, p := loadHook(t, "trace", "upret")
	checkRuns(t, mustAttach(t, p, Target{Path: "libc", Symbol: "malloc"}), runTrue(t))
}

func runTrue(t *testing.T) func() {
	return func() {
		if err := exec.Command("/bin/sh", "-c", "/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUprobeTargetsThatDoNotExist(t *testing.T) {
	o, p := loadHook(t, "trace", "up")
	text := filepath.Join(t.TempDir(), "text")
	_, err := o.Attach(p, Target{Path: self, Symbol: "no_such_function"})
	wantError(t, err, os.ErrNotExist, "has no function")
	if strings.Contains(err.Error(), "file does not exist") {
		t.Errorf("got %q: the file is there", err)
	}
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{}, "/bin/bash:readline"},
		{Target{Path: self}, "/bin/bash:readline"},
		{Target{Path: "/no/such", Symbol: "f"}, "no such file"},
		{Target{Path: "libnosuch.so", Symbol: "f"}, "in the usual places"},
		{Target{Path: text, Symbol: "f"}, "is no program or library"},
		{Target{Path: "/dev/null", Symbol: "f"}, "is no program or library"},
		{Target{Path: self, Symbol: "no_such_function"}, "has no function no_such_function"},
		{Target{Path: self, Symbol: "f", PID: 1 << 29}, "no process"},
		{Target{Path: self, Offset: 1 << 40}, "cannot probe offset"},
	} {
		_, err := o.Attach(p, c.target)
		wantError(t, err, ErrTarget, "attach uprobe", c.want)
	}
}

func TestUprobeMultiRuns(t *testing.T) {
	for _, program := range []string{"up_multi", "upret_multi"} {
		_, p := loadHook(t, "trace", program)
		target, err := ParseTarget(HookUprobeMulti, "libc:mall*")
		if err != nil {
			t.Fatal(err)
		}
		checkRuns(t, mustAttach(t, p, target), runTrue(t))
	}
}

func TestUprobeMultiWithoutAMatch(t *testing.T) {
	o, p := loadHook(t, "trace", "up_multi")
	_, err := o.Attach(p, Target{Path: "libc", Symbol: "no_such_*"})
	wantError(t, err, ErrTarget, "no function of", "no_such_*")
}
