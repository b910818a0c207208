package kernel

import (
	"errors"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestClocksRun(t *testing.T) {
	for _, c := range []Clock{Boottime, Monotonic, TAI, Realtime} {
		a, err := c.Now()
		if err != nil || a <= 0 {
			t.Fatalf("clock %d: got %v, %v", c, a, err)
		}
		if b, err := c.Now(); err != nil || b < a {
			t.Errorf("clock %d went back: %v, %v, %v", c, a, b, err)
		}
	}
	if _, err := Clock(99).Now(); err == nil {
		t.Error("no error for a clock that is none")
	}
}

func TestLoopbackIsListed(t *testing.T) {
	all, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	others, err := net.Interfaces() // the standard library's, which knows fewer flags
	if err != nil || len(others) != len(all) {
		t.Fatalf("got %+v, want %+v, %v", all, others, err)
	}
	for n, want := range others {
		got := all[n]
		if got.Index != want.Index || got.Name != want.Name || got.MTU != want.MTU || string(got.MAC) != string(want.HardwareAddr) ||
			got.Up != (want.Flags&net.FlagUp != 0) || got.Up != (got.Flags&1 != 0) || got.Loopback != (want.Flags&net.FlagLoopback != 0) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	for _, i := range all {
		if i.Name == "lo" && i.Loopback && i.Index > 0 && i.MTU > 0 {
			return
		}
	}
	t.Errorf("no loopback in %+v", all)
}

func TestCgroupNumbersLeadBack(t *testing.T) {
	root, err := Cgroup2()
	if err != nil {
		t.Skip(err)
	}
	defer root.Close()
	id, err := CgroupID(".")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := CgroupPath(id); err != nil || got != "." {
		t.Errorf("root: got %q, %v", got, err)
	}
	if root.Mounted() == "" {
		t.Skip("cgroup v2 is mounted nowhere")
	}
	dir, err := os.MkdirTemp(root.Mounted(), "bowline-test-")
	if err != nil {
		t.Skip(err)
	}
	name := dir[len(root.Mounted())+1:]
	id, err = CgroupID(name)
	if err != nil {
		t.Error(err)
	}
	got, err := CgroupPath(id)
	walked, walkErr := root.cgroupByWalk(id)
	// A file in a cgroup has a number of the same kind.
	var file unix.Stat_t
	if err := unix.Stat(dir+"/cgroup.procs", &file); err != nil {
		t.Error(err)
	}
	if got, err := CgroupPath(file.Ino); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the number of a file: got %q, %v", got, err)
	}
	if err := os.Remove(dir); err != nil {
		t.Error(err)
	}
	if err != nil || walkErr != nil || got != name || walked != name {
		t.Errorf("got %q, %v and %q, %v, want %q", got, err, walked, walkErr, name)
	}
	if got, err := CgroupPath(id); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after it was removed: got %q, %v", got, err)
	}
	if got, err := root.cgroupByWalk(id); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after it was removed: got %q, %v", got, err)
	}
}

func TestSingleQuestionsAgreeWithTheWholeProbe(t *testing.T) {
	for name, f := range map[string]ProbeFeature{
		"hash map": ProbeMapType(ebpf.Hash), "tracepoint": ProbeHook("tracepoint"), "xdp": ProbeHook("xdp"), "sk_msg": ProbeHook("sk_msg"),
		"program": ProbeProgramType(ebpf.SocketFilter), "helper": ProbeHelper(ebpf.SocketFilter, "bpf_map_lookup_elem"),
	} {
		switch f.Answer {
		case ProbeYes:
			if f.Err() != nil {
				t.Errorf("%s: got %v", name, f.Err())
			}
		case ProbeDenied:
			if !errors.Is(f.Err(), ErrPermission) {
				t.Errorf("%s: got %v", name, f.Err())
			}
		default:
			t.Errorf("%s: got %+v", name, f)
		}
	}
	for name, f := range map[string]ProbeFeature{
		"hook": ProbeHook("no such hook"), "helper": ProbeHelper(ebpf.XDP, "bpf_no_such"), "program": ProbeProgramType(999), "map": ProbeMapType(999),
		"helper's program": ProbeHelper(999, "bpf_loop"),
	} {
		if f.Answer != ProbeUnknown || f.Err() == nil {
			t.Errorf("%s: got %+v, %v", name, f, f.Err())
		}
	}
	// A tracing helper in a program of the network: this kernel must say no, if it may be asked.
	f := ProbeHelper(ebpf.SocketFilter, "bpf_override_return")
	if f.Answer != ProbeNo && f.Answer != ProbeDenied || f.Answer == ProbeNo && !errors.Is(f.Err(), ErrUnsupported) {
		t.Errorf("got %+v, %v", f, f.Err())
	}
}

func TestEveryHookIsAnswered(t *testing.T) {
	for name := range hookFacts {
		if f := ProbeHook(name); f.Name != name || f.Answer == ProbeUnknown && f.Why == "no such hook" || f.Answer != ProbeYes && f.Why == "" {
			t.Errorf("%s: got %+v", name, f)
		} else {
			t.Logf("%-16s %-8s %s", name, f.Answer, f.Why)
		}
	}
}
