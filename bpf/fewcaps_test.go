package bpf

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

var fewCaps = []kernel.Cap{kernel.CapBPF, kernel.CapPerfmon}

// withFewCaps runs f without CAP_SYS_ADMIN, as setcap cap_bpf,cap_perfmon does it.
func withFewCaps(t *testing.T, f func()) {
	t.Helper()
	if !kernel.Running().AtLeast(5, 8) {
		t.Skip("this kernel has no CAP_BPF")
	}
	kerneltest.RequireRoot(t)
	kerneltest.WithCapabilities(t, fewCaps, f)
}

func mustLoadOne(t *testing.T, file, program string) (*Object, *Program) {
	t.Helper()
	o, p, err := loadOne(t, file, program)
	if err != nil {
		t.Fatal(err)
	}
	return o, p
}

// The verifier lets programs compute with pointers only with CAP_PERFMON.
func TestPointerArithmeticNamesCapPerfmon(t *testing.T) {
	kerneltest.RequireRoot(t)
	if !kernel.Running().AtLeast(5, 8) {
		t.Skip("this kernel has no CAP_BPF")
	}
	p := &ebpf.ProgramSpec{
		Name: "distance", Type: ebpf.SocketFilter, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R0, asm.R10), asm.Sub.Reg(asm.R0, asm.R1), asm.Mov.Imm(asm.R0, 0), asm.Return(),
		},
	}
	var err error
	kerneltest.WithCapabilities(t, []kernel.Cap{kernel.CapBPF}, func() {
		var prog *ebpf.Program
		if prog, err = ebpf.NewProgram(p); err == nil {
			prog.Close()
			t.Fatal("the verifier allowed it")
		}
		err = programError(p, err, LoadOptions{})
	})
	wantError(t, err, ErrPermission, "load program distance", "prohibited", "CAP_PERFMON")
	if !errors.Is(err, ErrVerifier) {
		t.Errorf("got %q, want it to match %q", err, ErrVerifier)
	}
}

func TestUprobesNeedNoAdministrator(t *testing.T) {
	if !kernel.Running().AtLeast(6, 6) {
		t.Skip("this kernel has no uprobe.multi")
	}
	path := staticProbe(t)
	for _, c := range []struct {
		program string
		target  Target
		trigger func()
	}{
		{"up", Target{Path: "libc", Symbol: "malloc"}, runTrue(t)},
		{"upret", Target{Path: "libc", Symbol: "malloc"}, runTrue(t)},
		{"up", Target{Path: self, Offset: probedOffset(t), PID: os.Getpid(), Cookie: 7}, callProbed},
		{"static_probe", Target{Path: path, Symbol: "test:it"}, func() { _ = exec.Command(path).Run() }},
	} {
		var l *Link
		withFewCaps(t, func() {
			_, p := mustLoadOne(t, "trace", c.program)
			l = mustAttach(t, p, c.target)
		})
		checkRuns(t, l, c.trigger)
	}
}

func TestUprobeTargetsThatDoNotExistWithoutAdministrator(t *testing.T) {
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{Path: self, Offset: 64, PID: 1 << 29}, "no process"},
		{Target{Path: self, Offset: 1 << 40}, "cannot probe offset"},
	} {
		withFewCaps(t, func() {
			o, p := mustLoadOne(t, "trace", "up")
			_, err := o.Attach(p, c.target)
			if !kernel.Running().AtLeast(6, 6) && c.target.PID == 0 {
				// Without uprobe.multi the kernel may ask for the privilege first; then it is that which must be named.
				if errors.Is(err, ErrPermission) {
					wantError(t, err, ErrPermission, "attach uprobe", "CAP_SYS_ADMIN")
					return
				}
			}
			wantError(t, err, ErrTarget, "attach uprobe", c.want)
		})
	}
}

// A program that an administrator loaded attaches as perf does it, which some kernels allow only to administrators.
func TestUprobeOfPerfNamesCapSysAdmin(t *testing.T) {
	o, p := loadHook(t, "trace", "up")
	withFewCaps(t, func() {
		l, err := o.Attach(p, Target{Path: "libc", Symbol: "malloc"})
		if err == nil {
			t.Skip("this kernel needs no CAP_SYS_ADMIN for it: ", l.Close())
		}
		wantError(t, err, ErrPermission, "attach uprobe", "CAP_SYS_ADMIN")
	})
}

func TestTracepointWithoutTracefsNamesCapSysAdmin(t *testing.T) {
	o, p := loadHook(t, "trace", "tp")
	withFewCaps(t, func() {
		l, err := o.Attach(p, Target{})
		if err == nil {
			t.Skip("tracefs is mounted: ", l.Close())
		}
		wantError(t, err, ErrPermission, "attach tracepoint", "CAP_SYS_ADMIN")
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("got %q, want it to match %q", err, os.ErrPermission)
		}
	})
}

func TestKprobesCarryTheKernelsVersion(t *testing.T) {
	v := kernel.Running()
	if !v.AtLeast(5, 0) {
		t.Skip("an old kernel's version is not in uname")
	}
	want := uint32(v.Major<<16 | v.Minor<<8 | min(v.Patch, 255))
	l := &loader{}
	for _, given := range []uint32{0, 0xFFFFFFFE} {
		p := &ebpf.ProgramSpec{Type: ebpf.Kprobe, KernelVersion: given}
		if got := l.asLoaded(p).KernelVersion; got != want {
			t.Errorf("got version %#x for %#x, want %#x", got, given, want)
		}
		if p.KernelVersion != given {
			t.Error("the object's own program was changed")
		}
	}
	if got := l.asLoaded(&ebpf.ProgramSpec{Type: ebpf.Kprobe, KernelVersion: 5}).KernelVersion; got != 5 {
		t.Errorf("got version %d, want the object's own 5", got)
	}
}

const asOrdinaryUser = "BOWLINE_TEST_ORDINARY_USER"

// runAsOrdinaryUser runs another test in a process of a user who is not root and has only these capabilities.
func runAsOrdinaryUser(t *testing.T, test string, caps ...uintptr) {
	t.Helper()
	kerneltest.RequireRoot(t)
	if !kernel.Running().AtLeast(6, 6) {
		t.Skip("without CAP_SYS_ADMIN some kernels before 6.6 have no uprobes")
	}
	object, err := os.ReadFile("testdata/hooks_trace.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/proc/self/exe", "-test.run=^"+test+"$", "-test.v")
	c.Dir, c.Stdin = "/", bytes.NewReader(object)
	c.Env = append(os.Environ(), asOrdinaryUser+"="+test)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: caps}
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+test)) {
		t.Errorf("%v\n%s", err, out)
	}
}

// loadAsOrdinaryUser loads a program of the object that came with the process.
func loadAsOrdinaryUser(t *testing.T, program string) (*Object, *Program) {
	t.Helper()
	if os.Getenv(asOrdinaryUser) != t.Name() {
		t.Skip("runs only in the process that another test starts")
	}
	object, err := io.ReadAll(os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	o, p, err := loadBytes(t, object, program)
	if err != nil {
		t.Fatal(err)
	}
	return o, p
}

// A process with file capabilities cannot read /proc/self/mem.
func TestUprobeOfAProcessThatIsNotDumpable(t *testing.T) {
	runAsOrdinaryUser(t, "TestUprobeAsOrdinaryUser", unix.CAP_BPF, unix.CAP_PERFMON)
}

func TestUprobeAsOrdinaryUser(t *testing.T) {
	if os.Getenv(asOrdinaryUser) != "" {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		if f, err := os.Open("/proc/self/mem"); err == nil {
			f.Close()
			t.Fatal("this process can read /proc/self/mem")
		}
	}
	_, p := loadAsOrdinaryUser(t, "up")
	checkRuns(t, mustAttach(t, p, Target{Path: "libc", Symbol: "malloc", Cookie: 7}), runTrue(t))
}

// The files of tracefs belong to root, also for who may mount it.
func TestTracefsOfRootNamesTheCapability(t *testing.T) {
	runAsOrdinaryUser(t, "TestTracefsAsOrdinaryUser", unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN)
}

func TestTracefsAsOrdinaryUser(t *testing.T) {
	o, p := loadAsOrdinaryUser(t, "tp")
	l, err := o.Attach(p, Target{})
	if err == nil {
		t.Log("everyone may read tracefs here: ", l.Close())
		return
	}
	wantError(t, err, ErrPermission, "attach tracepoint", "tracefs", "CAP_DAC_READ_SEARCH")
}
