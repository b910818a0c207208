package policy

import (
	"slices"
	"testing"
)

func grantedTo(t *testing.T, allow, deny, needs, added []string) []string {
	t.Helper()
	box := &Policy{Names: Names{"uplink": "eth1"}}
	var err error
	if box.Allow, err = Lines("policy", allow...); err != nil {
		t.Fatal(err)
	}
	if box.Deny, err = Lines("policy", deny...); err != nil {
		t.Fatal(err)
	}
	plugin := Plugin{Name: "p"}
	if needs != nil {
		plugin.Manifest = &Manifest{}
		for _, n := range needs {
			g, err := ParseGrant(n)
			if err != nil {
				t.Fatal(err)
			}
			plugin.Manifest.Needs = append(plugin.Manifest.Needs, Need{Grant: g})
		}
	}
	lines, err := Lines("--allow", added...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Effective(box, plugin, lines)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, g := range r.Grants() {
		out = append(out, g.String())
	}
	return out
}

func TestGrantsListsWhatMayBeNeeded(t *testing.T) {
	for _, c := range []struct {
		name                      string
		allow, deny, needs, added []string
		want                      []string
	}{
		{name: "nothing"},
		{name: "local names", allow: []string{"xdp@uplink"}, want: []string{"xdp@eth1"}},
		{name: "once", allow: []string{"stats"}, added: []string{"stats"}, want: []string{"stats"}},
		{name: "a group is what it stands for", allow: []string{"net-forward@eth0"},
			want: []string{"xdp@eth0", "tc@eth0", "tcx@eth0", "netkit@eth0", "test-run", "map:devmap", "map:devmap_hash", "map:cpumap", "redirect@eth0"}},
		{name: "a manifest narrows", allow: []string{"tracepoint", "xdp"}, needs: []string{"tracepoint:sched/x", "stats"}, want: []string{"tracepoint:sched/x"}},
		{name: "a type of program for a hook that a manifest asks for", allow: []string{"prog:xdp", "test-run"}, needs: []string{"xdp", "test-run"},
			want: []string{"prog:xdp", "test-run"}},
		{name: "a manifest does not narrow what is added", needs: []string{"stats"}, added: []string{"xdp"}, want: []string{"xdp"}},
		{name: "denied everywhere", allow: []string{"security"}, deny: []string{"lsm", "cgroup"}, want: []string{"lsm_cgroup", "fmod_ret:security_*", "test-run", "cgroup-id"}},
		{name: "denied in part", allow: []string{"kprobe:a*"}, deny: []string{"kprobe:ab"},
			want: []string{"kprobe:a*", "kretprobe:a*", "kprobe.multi:a*", "kretprobe.multi:a*", "kprobe.session:a*"}},
	} {
		if got := grantedTo(t, c.allow, c.deny, c.needs, c.added); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := grantedTo(t, nil, nil, nil, []string{"all"}); !slices.Equal(got, Words()) {
		t.Errorf("all: got %q, want every word", got)
	}
}
