package policy

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
)

// contentsFrom reads "kprobe:f" as something that is done, "xdp" of a hook as one whose place is open, "?GRANT" as what may be done.
func contentsFrom(t *testing.T, texts ...string) (c Contents) {
	t.Helper()
	for _, text := range texts {
		if text == "unseen" {
			c.Unseen = true
			continue
		}
		rest, perhaps := strings.CutPrefix(text, "?")
		g := mustGrant(t, rest)
		a := Action{Kind: heads[headByName[g.head]].kind, Sub: g.sub, Name: g.target, Symbol: g.symbol}
		if a.Kind == Attach {
			a.Hook = g.head
		}
		switch {
		case perhaps:
			c.Perhaps = append(c.Perhaps, a)
		case a.Kind == Attach && a.Name == "":
			c.Everywhere = append(c.Everywhere, Line{Grant: g})
		default:
			c.Actions = append(c.Actions, a)
		}
	}
	return c
}

func TestManifestsAreComparedWithContents(t *testing.T) {
	for _, tc := range []struct{ contents, needs, sights, missing string }{
		{"tp_btf:a helper:bpf_probe_read_user", "tp_btf:a helper:bpf_probe_read_user", "yes yes", ""},
		{"tp_btf:a helper:bpf_probe_write_user", "tp_btf:a", "yes", "helper:bpf_probe_write_user"},
		{"tp_btf:a", "tp_btf:a helper:bpf_probe_write_user", "yes no", ""},
		{"tp_btf:a tp_btf:b", "tp_btf:*", "yes", ""},
		{"tp_btf:a tp_btf:b", "tracing", "yes", ""},
		{"tp_btf:a", "security", "no", "tp_btf:a"},
		// A place that is chosen at run time.
		{"xdp", "xdp", "yes", ""},
		{"xdp", "xdp@eth0", "perhaps", ""},
		{"xdp", "xdp@uplink tc", "perhaps no", ""},
		{"tcx/ingress", "tcx", "yes", ""},
		{"tcx", "tcx/ingress", "yes", ""},
		{"tcx/ingress", "tcx/egress", "no", "tcx/ingress"},
		{"cgroup/connect4", "cgroup/connect4:plugins/*", "perhaps", ""},
		// A section that names another place than the manifest: the plugin may choose.
		{"kprobe:a", "kprobe:b", "perhaps", "kprobe:a"},
		// Loading alone is no need of a hook with the same type of program.
		{"prog:kprobe uprobe", "uprobe kprobe:x", "yes no", ""},
		{"prog:kprobe", "prog:kprobe", "yes", ""},
		// A helper that includes another.
		{"helper:bpf_probe_read_user_str", "helper:bpf_probe_read_user", "yes", ""},
		{"helper:bpf_probe_read_user_str", "helper:bpf_probe_read_kernel", "yes", ""},
		{"helper:bpf_probe_read_kernel", "helper:bpf_probe_read_user", "no", "helper:bpf_probe_read_kernel"},
		// Names that only a run knows.
		{"share", "share", "yes", ""},
		{"share", "share:counts", "perhaps", ""},
		{"share", "pin:x", "no", "share"},
		{"", "dir:/var/log", "no", ""},
		{"?env", "env:LC_* dir:/a", "perhaps no", ""},
		{"?kprobe", "kprobe:x helper:bpf_send_signal", "perhaps no", ""},
		{"map:devmap ?redirect", "map:devmap redirect@eth0", "yes perhaps", ""},
		// Programs that are not to be seen.
		{"unseen", "xdp helper:bpf_redirect map:devmap tracing symbols", "perhaps perhaps perhaps perhaps no", ""},
		{"", "", "", ""},
	} {
		m := &Manifest{}
		for _, n := range strings.Fields(tc.needs) {
			m.Needs = append(m.Needs, Need{Grant: mustGrant(t, n)})
		}
		got := m.Compare(contentsFrom(t, strings.Fields(tc.contents)...))
		sights, missing := fmt.Sprint(got.Needs), fmt.Sprint(got.Missing)
		if sights != "["+tc.sights+"]" || missing != "["+tc.missing+"]" {
			t.Errorf("contents %q, manifest %q: got %s, missing %s, want [%s], missing [%s]", tc.contents, tc.needs, sights, missing, tc.sights, tc.missing)
		}
	}
}

// A manifest that is made of what the contents need agrees with them, and with what it says is missing it does, too.
func TestAManifestOfWhatIsMissingIsComplete(t *testing.T) {
	check(t, 1500, func(r *rand.Rand) error {
		var c Contents
		all := rightsOf(t, "all")
		for range r.Intn(8) {
			a := randomAction(r)
			if _, ok := lineFor(a); !ok || all.Check(a) != nil || unnameable(a) || strings.ContainsAny(a.Name+a.Symbol, ",*?") {
				continue
			}
			if g, err := ParseGrant(a.Hook); a.Kind == Attach && err == nil && r.Intn(2) == 0 {
				c.Everywhere = append(c.Everywhere, Line{Grant: g})
				continue
			}
			if a.Kind == Load { // the section of a program that is loaded is that of one that is attached
				a.Hook, a.Symbol = "", ""
			}
			c.Actions = append(c.Actions, a)
		}
		m := &Manifest{}
		for _, g := range randomGrants(r, 3) {
			m.Needs = append(m.Needs, Need{Grant: g})
		}
		for _, g := range m.Compare(c).Missing {
			m.Needs = append(m.Needs, Need{Grant: g})
		}
		if left := m.Compare(c).Missing; len(left) > 0 {
			return fmt.Errorf("%v is still missing from %+v for %+v", left, m.Needs, c)
		}
		own := &Manifest{}
		for _, g := range c.Needs() {
			own.Needs = append(own.Needs, Need{Grant: g})
		}
		got := own.Compare(c)
		if len(got.Missing) > 0 {
			return fmt.Errorf("%v is missing from its own needs %+v for %+v", got.Missing, own.Needs, c)
		}
		for i, s := range got.Needs {
			if s != Needed {
				return fmt.Errorf("%s is needed: %v, for %+v", own.Needs[i].Grant, s, c)
			}
		}
		return nil
	})
}

func TestDangerousGrantsSayWhy(t *testing.T) {
	for text, want := range map[string]string{
		"helper:bpf_probe_write_user": "writes memory of processes", "helper:bpf_map_lookup_elem": "", "helper:#999": "nobody has judged",
		"xdp@eth0": "", "tracing": "",
	} {
		if got := mustGrant(t, text).Danger(); (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
