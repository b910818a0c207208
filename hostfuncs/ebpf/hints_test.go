package ebpf

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// A plugin that attaches to "uplink" on a box that has no such name is told how to give it one; also when the policy is asked first.
func TestNamesThatAreNotOfThisBox(t *testing.T) {
	has := func(t *testing.T, text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%q does not say %q", text, w)
			}
		}
	}
	for _, opts := range []session.Options{{}, {Guard: granted(t, "xdp@eth1", "cgroup:/web", "cgroup-id")}} {
		withOptions(t, opts, func(t *testing.T, p *puppet) {
			xdp, group := p.returning("xdp", 2), p.returning("cgroup_skb/egress", 1)
			out := ptr(p.room(4).ptr)
			for name, prog := range map[string]int32{"uplink": xdp, "plugins": group} {
				if no := p.call("link_attach", prog, p.target(abi.Target{}, name, ""), out); no == abi.SUCCESS {
					t.Fatalf("attached to %s", name)
				}
				has(t, p.lastError(), `"`+name+`" is a local name`, "--name "+name+"=", "names: in the policy")
			}
			if no := p.call("cgroup_open", "plugins", out); no != abi.NOENT {
				t.Errorf("cgroup_open: %s", no)
			}
			has(t, p.lastError(), "--name plugins=")
			if no := p.call("cgroup_open", "/no/such", out); no != abi.NOENT || strings.Contains(p.lastError(), "--name") {
				t.Errorf("cgroup_open: %s: %s", no, p.lastError())
			}
		})
	}
	withOptions(t, session.Options{Names: map[string]string{"uplink": "nosuch0"}}, func(t *testing.T, p *puppet) {
		text := p.want(abi.NODEV, "link_attach", p.returning("xdp", 2), p.target(abi.Target{}, "uplink", ""), ptr(p.room(4).ptr))
		has(t, text, "nosuch0", `the local name "uplink" stands for it`)
		if text := p.want(abi.NODEV, "link_attach", p.returning("xdp", 2), p.target(abi.Target{}, "lo0", ""), ptr(p.room(4).ptr)); !strings.Contains(text, "--name lo0=") {
			t.Errorf("%q", text)
		}
	})
	withOptions(t, session.Options{Guard: granted(t, "xdp@eth1")}, func(t *testing.T, p *puppet) {
		text := p.want(abi.NOTCAPABLE, "link_attach", p.returning("xdp", 2), p.target(abi.Target{}, "lo", ""), ptr(p.room(4).ptr))
		if strings.Contains(text, "--name") {
			t.Errorf("%q: the interface is there", text)
		}
	})
}

// What an update did not do is told in words.
func TestErrorsOfMapsAreToldInWords(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Hash, 4, 8, 1)
		value := make([]byte, 8)
		p.ok("map_update", m, native32(1), value, uint64(0))
		for _, c := range []struct {
			errno abi.Errno
			key   uint32
			flags uint64
			want  string
		}{
			{abi.TOOBIG, 2, 0, "it is full"},
			{abi.EXIST, 1, abi.UpdateNoExist, "BPF_NOEXIST"},
			{abi.NOENT, 2, abi.UpdateExist, "BPF_EXIST"},
		} {
			if text := p.want(c.errno, "map_update", m, native32(c.key), value, c.flags); !strings.Contains(text, c.want) {
				t.Errorf("%q does not say %q", text, c.want)
			}
		}
		p.ok("map_freeze", m)
		if text := p.want(abi.PERM, "map_update", m, native32(1), value, uint64(0)); !strings.Contains(text, "it is frozen") {
			t.Errorf("%q", text)
		}
	})
}
