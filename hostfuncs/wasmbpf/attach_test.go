package wasmbpf

import (
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestAttachUnknownProgram(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		for _, target := range []uint64{0, p.str(""), p.str("lo")} {
			if got := p.call("attach", obj, p.str("no_such_program"), target); got != -int64(unix.EPERM) {
				t.Errorf("attach with target %d = %d, want -1", target, got)
			}
		}
		if len(p.reported) != 3 || !strings.Contains(p.reported[0], "no_such_program") {
			t.Errorf("reported %q, want the program's name", p.reported)
		}
	})
}

func TestAttachReadsItsStringsWithinMemory(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		mem := p.in.Memory()
		end := uint64(len(mem))
		mem[end-1] = 'x' // a string that never ends
		for _, tc := range [][2]uint64{{end, 0}, {math.MaxUint32, 0}, {end - 1, 0}, {p.str("pass"), end - 1}, {p.str("pass"), math.MaxUint32}} {
			if got := p.call("attach", obj, tc[0], tc[1]); got != -int64(unix.EFAULT) {
				t.Errorf("attach(%#x, %#x) = %d, want -EFAULT", tc[0], tc[1], got)
			}
		}
	})
}

func TestAttachFailuresAreNeverSilent(t *testing.T) {
	for name, tc := range map[string]struct{ program, target, want string }{
		"no such tracepoint": {"nowhere", "", "no_such_tracepoint"},
		"no such interface":  {"pass", "nosuchif0", "nosuchif0"},
		"interface missing":  {"pass", "", "interface"},
		"no such cgroup":     {"ops", "/no/such/cgroup", "/no/such/cgroup"},
		"no such binary":     {"probe", "/no/such/binary:main", "/no/such/binary"},
		"no such mode":       {"pass", "lo:sideways", "sideways"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, p *puppet) {
				obj := p.load("puppet.bpf.o")
				if got := p.call("attach", obj, p.str(tc.program), p.str(tc.target)); got >= 0 {
					t.Fatalf("attach = %d, want an error", got)
				}
				if len(p.reported) != 1 || !strings.Contains(p.reported[0], tc.want) || strings.Contains(p.reported[0], "\n") {
					t.Errorf("reported %q, want one line with %q", p.reported, tc.want)
				}
			})
		})
	}
}

func TestAttachTargets(t *testing.T) {
	for name, tc := range map[string]struct{ program, target string }{
		"xdp generic": {"pass", "lo:generic"},
		"tc":          {"tc_pass", "lo"},
		"tc egress":   {"tc_pass", "lo:egress"},
		"sockops":     {"ops", "."},
		"cgroup skb":  {"out", "."},
		"sockmap":     {"msg", "socks"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, p *puppet) {
				kerneltest.Netns(t)
				obj := p.load("puppet.bpf.o")
				if got := p.call("attach", obj, p.str(tc.program), p.str(tc.target)); got != 0 {
					t.Fatalf("attach = %d: %v", got, p.reported)
				}
				if got := p.call("close", obj); got != 0 {
					t.Errorf("close = %d", got)
				}
			})
		})
	}
}
