package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// loadHook loads one program of a test object, testdata/hooks_FILE.bpf.o.
func loadHook(t *testing.T, file, program string) (*Object, *Program) {
	t.Helper()
	o, p, err := tryLoadHook(t, file, program)
	if err != nil {
		kerneltest.CoversProgram(t, openHooks(t, file).coll.Programs[program].Type)
	}
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	return o, p
}

func tryLoadHook(t *testing.T, file, program string) (*Object, *Program, error) {
	t.Helper()
	kerneltest.RequireRoot(t)
	return loadOne(t, file, program)
}

// loadOne is tryLoadHook with the capabilities that there are.
func loadOne(t *testing.T, file, program string) (*Object, *Program, error) {
	t.Helper()
	b, err := os.ReadFile("testdata/hooks_" + file + ".bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	return loadBytes(t, b, program)
}

// openHooks opens a test object, testdata/hooks_FILE.bpf.o.
func openHooks(t *testing.T, file string) *Spec {
	t.Helper()
	return open(t, "hooks_"+file)
}

// loadBytes loads one program of an object file that was read already.
func loadBytes(t *testing.T, object []byte, program string) (*Object, *Program, error) {
	t.Helper()
	s, err := Open(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Name == program); err != nil {
			t.Fatal(err)
		}
	}
	o, err := s.Load(LoadOptions{})
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := o.Program(program)
	if err != nil {
		t.Fatal(err)
	}
	return o, p, nil
}

// mustAttach attaches, or skips if this kernel cannot.
func mustAttach(t *testing.T, p *Program, target Target) *Link {
	t.Helper()
	l, err := p.Object().Attach(p, target)
	if err != nil {
		kerneltest.CoversProgram(t, p.Type())
	}
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// hits is how often the program of a test object ran.
func hits(t *testing.T, o *Object) uint64 {
	t.Helper()
	m, err := o.Map("hits")
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 8)
	if err := m.LookupInto(make([]byte, 4), value, 0); err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(value)
}

// checkRuns fails unless the program runs at trigger while it is attached, and no longer after Close.
func checkRuns(t *testing.T, l *Link, trigger func()) {
	t.Helper()
	t.Log(l, l.Note())
	kerneltest.CoversProgram(t, l.Program().Type())
	o := l.Program().Object()
	before := hits(t, o)
	trigger()
	if !waitFor(func() bool { return hits(t, o) > before }) {
		t.Errorf("%s: the program did not run: still %d hits", l, before)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	before = hits(t, o)
	trigger()
	if got := hits(t, o); got != before {
		t.Errorf("%s: the program ran after Close: %d hits before, %d after", l, before, got)
	}
}

// waitFor reports whether it comes true soon: a busy kernel may take a packet later than the call that sent it.
func waitFor(cond func() bool) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if cond() {
			return true
		}
	}
	return false
}

// wantError fails unless err matches the sentinel and has the words.
func wantError(t *testing.T, err, sentinel error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %v", sentinel)
	}
	t.Log(err)
	if sentinel != nil && !errors.Is(err, sentinel) {
		t.Errorf("got %q, want it to match %q", err, sentinel)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want %q in it", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got more than one line: %q", err)
	}
}

func getpgid() { unix.Getpgid(0) }
