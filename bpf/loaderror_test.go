package bpf

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// loadRefused loads one program that the kernel refuses and returns the error.
func loadRefused(t *testing.T, program string) error {
	t.Helper()
	s := open(t, "refused")
	if err := s.SetLoad(program, true); err != nil {
		t.Fatal(err)
	}
	o, err := s.Load(LoadOptions{})
	if err == nil {
		o.Close()
		t.Fatal("the kernel loads it")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	t.Log(err)
	return err
}

func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want %q in it", err, w)
		}
	}
}

func TestVerifierErrorsSayWhy(t *testing.T) {
	for program, words := range map[string][]string{
		"bounds": {"program bounds", "invalid access to packet", "instruction"},
		"null":   {"program null", "invalid mem access 'map_value_or_null'"},
	} {
		err := loadRefused(t, program)
		var v *VerifierError
		if !errors.As(err, &v) || !errors.Is(err, ErrVerifier) || len(v.Log) < 4 || v.Program != program || !errors.Is(err, unix.EACCES) {
			t.Errorf("got %#v", err)
		}
		mentions(t, err, words...)
	}
}

func TestMissingFeaturesAreNamed(t *testing.T) {
	for program, words := range map[string][]string{
		"helper":     {"program helper", "helper", "900"},
		"tracepoint": {"program tracepoint", "tp_btf no_such_tracepoint", "no such place"},
	} {
		err := loadRefused(t, program)
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %#v", program, err)
		}
		mentions(t, err, words...)
	}
}

// A section name that means nothing is the author's mistake, and no lack of the kernel.
func TestUnknownSectionsAreNamed(t *testing.T) {
	err := loadRefused(t, "section")
	if !errors.Is(err, ErrType) || errors.Is(err, ErrUnsupported) {
		t.Errorf("got %#v", err)
	}
	mentions(t, err, "program section", `"?no_such_section"`)
}

// Where the kernel has trampolines this loads, and there is nothing to test.
func TestRefusedTrampolinesAreNamed(t *testing.T) {
	for _, program := range []string{"trampoline", "lsm_open"} {
		s := open(t, "refused")
		if err := s.SetLoad(program, true); err != nil {
			t.Fatal(err)
		}
		o, err := s.Load(LoadOptions{})
		if err == nil {
			o.Close()
			continue
		}
		t.Log(err)
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("got %#v", err)
		}
		mentions(t, err, "this kernel refuses BPF trampolines")
	}
}

// without runs f on a thread of its own that has lost some capabilities for good.
func without(t *testing.T, caps []kernel.Cap, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&hdr, &data[0]); err != nil {
			t.Error(err)
			return
		}
		for _, c := range caps {
			data[c/32].Effective &^= 1 << (c % 32)
		}
		if err := unix.Capset(&hdr, &data[0]); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestMissingCapabilitiesAreNamed(t *testing.T) {
	for _, c := range []struct {
		lost    []kernel.Cap
		object  string
		program string
		want    string
	}{
		{[]kernel.Cap{kernel.CapSysAdmin, kernel.CapBPF}, "plain", "", "needs CAP_BPF"},
		{[]kernel.Cap{kernel.CapSysAdmin, kernel.CapPerfmon}, "plain", "", "program exit_raw: permission denied; needs CAP_PERFMON"},
		{[]kernel.Cap{kernel.CapSysAdmin, kernel.CapNetAdmin}, "refused", "bounds", "program bounds: permission denied; needs CAP_NET_ADMIN"},
	} {
		without(t, c.lost, func() {
			s := open(t, c.object)
			if c.program != "" {
				_ = s.SetLoad(c.program, true)
			}
			o, err := s.Load(LoadOptions{})
			if err == nil {
				o.Close()
				t.Errorf("without %v it loads", c.lost)
				return
			}
			t.Log(err)
			if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) {
				t.Errorf("got %#v", err)
			}
			mentions(t, err, c.want)
		})
	}
}

func TestMapsThatCannotBeMadeAreNamed(t *testing.T) {
	s := open(t, "plain")
	if err := s.SetMaxEntries("ring", 5000); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load(LoadOptions{})
	if !errors.Is(err, unix.EINVAL) {
		t.Fatalf("got %v", err)
	}
	mentions(t, err, "create map ring (RingBuf, 5000 bytes)")
	if err := s.SetMaxEntries("nope", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// The version that is asked for is named before anything else about a type that is too new.
func TestTooOldKernelsAreTold(t *testing.T) {
	old := kernel.Version{Major: 4, Minor: 2}
	mentions(t, unknownMapType("create map a", ebpf.Arena, unix.EINVAL, old), "create map a", "needs Linux 6.9")
	for _, c := range []struct {
		typ  ebpf.ProgramType
		hook Hook
		want string
	}{
		{ebpf.Netfilter, HookNetfilter, "netfilter: not supported by this kernel; needs Linux 6.4"},
		{ebpf.Tracing, HookFsession, "fsession: not supported by this kernel; needs Linux 7.0"},  // younger than its type
		{ebpf.CGroupSysctl, HookCgroup, "cgroup: not supported by this kernel; needs Linux 5.2"}, // older than its type
		{ebpf.Extension, HookNone, "type Extension: not supported by this kernel; needs Linux 5.6"},
	} {
		err := unknownType(&ebpf.ProgramSpec{Name: "new", Type: c.typ}, c.hook, unix.EINVAL, nil, old)
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v", c.want, err)
			continue
		}
		mentions(t, err, "program new: "+c.want)
	}
}

func TestCOREWorksWithTypesFromAFile(t *testing.T) {
	types, err := ReadKernelBTF("/sys/kernel/btf/vmlinux")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this kernel has no types")
	}
	if err != nil {
		t.Fatal(err)
	}
	load(t, "core", LoadOptions{KernelBTF: types})
	if _, err := ReadKernelBTF("testdata/core.bpf.c"); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v", err)
	}
}

func TestVerifierReasonOfDifferentKernels(t *testing.T) {
	for _, c := range []struct{ log, reason, where string }{
		{"0: (b7) r0 = 0\n1: (95) exit\nprocessed 2 insns (limit 1000000)", "instruction 1: (95) exit", ""},
		{"; return *v;\n7: (61) r0 = *(u32 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\nprocessed 8 insns", "R0 invalid mem access 'map_value_or_null'", "instruction 7: (61) r0 = *(u32 *)(r0 +0) (return *v;)"},
		{"0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns", "R0 !read_ok", "instruction 0: (95) exit"},
		{"3: (71) r0 = *(u8 *)(r1 +0) ; R1=pkt(r=0)\ninvalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)\nR1 offset is outside of the packet\nverification time 10 usec\nstack depth 0\nprocessed 3 insns", "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0); R1 offset is outside of the packet", "instruction 3: (71) r0 = *(u8 *)(r1 +0)"},
		{"", "", ""},
	} {
		reason, where := verifierReason(strings.Split(c.log, "\n"))
		if reason != c.reason || where != c.where {
			t.Errorf("got %q at %q, want %q at %q", reason, where, c.reason, c.where)
		}
	}
}

// A mount namespace of its own hides the kernel's types from one thread.
func TestKernelsWithoutTypesAreTold(t *testing.T) {
	types, err := ReadKernelBTF("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Skip("this kernel has no types")
	}
	s, plain := open(t, "core"), open(t, "plain")
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked
		if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("none", "/sys/kernel/btf", "tmpfs", 0, "")); err != nil {
			t.Log(err)
			return
		}
		sharedTypes.mu.Lock()
		sharedTypes.cache = weak.Pointer[btf.Cache]{}
		sharedTypes.mu.Unlock()
		_, err := s.Load(LoadOptions{})
		t.Log(err)
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("got %#v", err)
			return
		}
		mentions(t, err, "no type information (BTF)", "CONFIG_DEBUG_INFO_BTF")
		o, err := plain.Load(LoadOptions{})
		if err != nil {
			t.Errorf("an object without CO-RE: %v", err)
			return
		}
		o.Close()
		_ = s.SetLoad("exec", false)
		if o, err = s.Load(LoadOptions{KernelBTF: types}); err != nil {
			t.Errorf("with types from a file: %v", err)
			return
		}
		o.Close()
	}()
	<-done
}
