package kerneltest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

func TestMain(m *testing.M) { Main(m) }

// leaks are what a child process of TestLeaksAreFound leaves behind.
var leaks = map[string]func(t *testing.T){
	"descriptor": func(t *testing.T) {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	},
	"goroutine": func(*testing.T) { go func() { select {} }() },
	"namespace": func(t *testing.T) {
		entered := make(chan error)
		go func() {
			runtime.LockOSThread()
			entered <- unix.Unshare(unix.CLONE_NEWNET)
			select {}
		}()
		if err := <-entered; err != nil {
			t.Fatal(err)
		}
	},
	"BPF object": func(t *testing.T) {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.CGroupSKB, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		dir, err := kernel.OpenCgroup(os.Getenv("KERNELTEST_CGROUP"))
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		err = link.RawAttachProgram(link.RawAttachProgramOptions{Target: int(dir.Fd()), Program: p, Attach: ebpf.AttachCGroupInetEgress})
		if err != nil {
			t.Fatal(err)
		}
	},
}

func TestLeak(t *testing.T) {
	if f := leaks[os.Getenv("KERNELTEST_LEAK")]; f != nil {
		f(t)
	}
}

func TestLeaksAreFound(t *testing.T) {
	RequireRoot(t)
	if os.Getenv("KERNELTEST_LEAK") != "" {
		return
	}
	for _, what := range []string{"none", "descriptor", "goroutine", "namespace", "BPF object"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := exec.Command("/proc/self/exe", "-test.run=^TestLeak$")
			c.Env = append(os.Environ(), "KERNELTEST_LEAK="+what, "KERNELTEST_CGROUP="+Cgroup(t))
			out, err := c.CombinedOutput()
			if what == "none" {
				if err != nil {
					t.Errorf("got %v: %s, want no leak", err, out)
				}
				return
			}
			if err == nil || !strings.Contains(string(out), what) {
				t.Errorf("got %v: %s, want a leak of a %s", err, out, what)
			}
		})
	}
}

func TestNetnsIsAnother(t *testing.T) {
	RequireRoot(t)
	before, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("inside", func(t *testing.T) {
		ns := Netns(t)
		Veth(t, "va", "vb")
		Address(t, "va", "10.0.0.1/24")
		check := func() {
			all, err := net.Interfaces()
			if err != nil || len(all) != 3 {
				t.Errorf("got %v, %v, want lo, va, vb", all, err)
			}
		}
		check()
		if err := ns.Do(check); err != nil {
			t.Error(err)
		}
		t.Run("entered", func(t *testing.T) {
			ns.Enter(t)
			check()
		})
	})
	after, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil || after != before {
		t.Errorf("got namespace %s, %v after the test, want %s", after, err, before)
	}
}

func TestCapabilitiesComeBack(t *testing.T) {
	RequireRoot(t)
	WithoutCapabilities(t, func() {
		if caps, err := kernel.Capabilities(); err != nil || caps != 0 {
			t.Errorf("got %x, %v, want none", caps, err)
		}
	})
	RequireRoot(t)
}

// recorder is a test that only remembers how it ended.
type recorder struct {
	testing.TB
	end, text string
}

func (r *recorder) Helper() {}
func (r *recorder) Skipf(format string, args ...any) {
	r.end, r.text = "skip", fmt.Sprintf(format, args...)
	panic(r)
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.end, r.text = "fatal", fmt.Sprintf(format, args...)
	panic(r)
}

func gateOf(err error) (r *recorder) {
	r = &recorder{}
	defer func() { _ = recover() }()
	SkipIfUnsupported(r, err)
	return r
}

func TestGateSkipsOnlyWhatTheKernelLacks(t *testing.T) {
	unsupported := func(feature string) error { return &kernel.Missing{Feature: feature} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("something else"), ""},
		{os.ErrPermission, ""},
		{unsupported("xdp"), "fatal"},
		{unsupported("sk_lookup"), "fatal"},
		{unsupported("what nobody knows"), "fatal"},
		{fmt.Errorf("attach: %w: xdp", ebpf.ErrNotSupported), "fatal"},
	} {
		if got := gateOf(c.err); got.end != c.want {
			t.Errorf("%v: got %q (%s), want %q", c.err, got.end, got.text, c.want)
		}
	}
	if err := kernel.Kprobes(); err != nil {
		if c, configErr := kernel.KernelConfig(); configErr == nil && !c.On("CONFIG_KPROBES") {
			if got := gateOf(err); got.end != "skip" {
				t.Errorf("%v: got %q (%s), want a skip", err, got.end, got.text)
			}
		}
	}
	if err := kernel.Trampolines(); errors.Is(err, unix.EPERM) {
		if got := gateOf(err); got.end != "skip" {
			t.Errorf("%v: got %q (%s), want a skip", err, got.end, got.text)
		}
	}
}

func TestGateKnowsOldKernels(t *testing.T) {
	g := gate{major: 99}
	if got := g.lacking(); !strings.Contains(got, "too old") {
		t.Errorf("got %q", got)
	}
}
