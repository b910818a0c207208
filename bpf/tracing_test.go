package bpf

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestTypedTracepointRuns(t *testing.T) {
	_, p := loadHook(t, "trace", "typed")
	checkRuns(t, mustAttach(t, p, Target{}), getpgid)
}

func TestTracingTakesNoOtherTarget(t *testing.T) {
	o, p := loadHook(t, "trace", "typed")
	_, err := o.Attach(p, Target{Symbol: "sys_exit"})
	wantError(t, err, ErrTarget, "attach tp_btf to sys_exit", "loaded for sys_enter")
}

// loadTrampoline loads a program of testdata/hooks_trampoline.bpf.o that refuses what this thread asks for, or fails as it should
// where the kernel has no trampolines, and skips.
func loadTrampoline(t *testing.T, program string) (*Object, *Program) {
	t.Helper()
	kerneltest.RequireRoot(t)
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	s := openHooks(t, "trampoline")
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Name == program); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetVariable("refused_thread", binary.NativeEndian.AppendUint32(nil, uint32(unix.Gettid()))); err != nil {
		t.Fatal(err)
	}
	o, err := s.Load(LoadOptions{})
	if why := kernel.Trampolines(); why != nil {
		wantError(t, err, ErrUnsupported, "trampolines")
	}
	if err != nil {
		kerneltest.CoversProgram(t, s.coll.Programs[program].Type)
	}
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o, getProgram(t, o, program)
}

func TestFunctionEntryAndExitRunOrSayWhyNot(t *testing.T) {
	for _, name := range []string{"entry", "leave"} {
		t.Run(name, func(t *testing.T) {
			_, p := loadTrampoline(t, name)
			checkRuns(t, mustAttach(t, p, Target{}), getpgid)
		})
	}
}

// Programs that decide what the kernel answers: while they are attached this thread is refused what it asks for.
func TestDecidingProgramsDecideOrSayWhyNot(t *testing.T) {
	open := func() error {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	bind := func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.ErrInvalid
		}
		defer unix.Close(fd)
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	for _, c := range []struct {
		program string
		act     func() error
		cgroup  bool
	}{{"modify", open, false}, {"security", open, false}, {"security_cgroup", bind, true}} {
		t.Run(c.program, func(t *testing.T) {
			_, p := loadTrampoline(t, c.program)
			check := func(l *Link) {
				kerneltest.CoversProgram(t, p.Type())
				if err := c.act(); !errors.Is(err, unix.EPERM) {
					t.Errorf("%s: got %v, want %v", l, err, unix.EPERM)
				}
				if hits(t, p.Object()) == 0 {
					t.Errorf("%s did not run", l)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if err := c.act(); err != nil {
					t.Errorf("after Close: got %v, want no error", err)
				}
			}
			if !c.cgroup {
				check(mustAttach(t, p, Target{}))
				return
			}
			group := kerneltest.Cgroup(t)
			kerneltest.InCgroup(t, group, func() { check(mustAttach(t, p, Target{Cgroup: group})) })
		})
	}
}

// The replacement is run in place of the XDP program's function.
func TestReplacementRunsOrSaysWhyNot(t *testing.T) {
	_, replaced := loadHook(t, "net", "xdp_pass")
	s := openHooks(t, "trampoline")
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Name == "replacement"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetTargetProgram("replacement", replaced); err != nil {
		t.Fatal(err)
	}
	o, err := s.Load(LoadOptions{})
	if why := kernel.Trampolines(); why != nil {
		wantError(t, err, ErrUnsupported, "trampolines")
	}
	if err != nil {
		kerneltest.CoversProgram(t, ebpf.Extension)
	}
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	checkRuns(t, mustAttach(t, getProgram(t, o, "replacement"), Target{}), func() {
		if _, err := replaced.Kernel().Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
			t.Fatal(err)
		}
	})
}
