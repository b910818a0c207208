package policy

import (
	"strings"
	"testing"
)

func TestAPlaceThatIsChosenLaterIsAllowedIfSomePlaceIs(t *testing.T) {
	xdp := Action{Kind: Attach, Hook: "xdp"}
	ingress := Action{Kind: Attach, Hook: "tcx", Sub: "ingress"}
	for _, tc := range []struct {
		lines   string
		action  Action
		allowed bool
		text    string
	}{
		{"", xdp, false, `attach xdp, where it chooses when it runs: not granted; add "xdp" to the policy, or only where it may: "xdp@eth1"`},
		{"xdp", xdp, true, `granted by "xdp" (p)`},
		{"xdp@eth0", xdp, true, `granted by "xdp@eth0" (p)`},
		{"+xdp@eth0 !xdp@eth1", xdp, true, `granted by "xdp@eth0" (--allow)`},
		{"all !xdp", xdp, false, `denied by "xdp" (p)`},
		{"all", xdp, true, `granted by "all"`},
		{"all !all", xdp, false, `denied by "all"`},
		{"prog:xdp", xdp, false, "not granted"},
		{"?tc xdp", xdp, false, `the manifest does not ask for it; to let it, add --allow "xdp"`},
		{"?xdp@uplink xdp", xdp, true, `granted by "xdp"`},
		{"tcx/egress", ingress, false, `add "tcx/ingress" to the policy`},
		{"tcx !tcx/ingress", ingress, false, `denied by "tcx/ingress"`},
		{"tcx !tcx/egress", ingress, true, `granted by "tcx"`},
		{"tc", ingress, true, `granted by "tc"`},
		{"share:a", Action{Kind: Share}, true, `share under a name, which it chooses when it runs: granted by "share:a"`},
		{"", Action{Kind: Stats}, false, `measure all BPF programs: not granted; add "stats"`},
		{"xdp@eth0", attach("xdp", "eth1"), false, `interface not granted`},
	} {
		d := rightsFor(t, nil, tc.lines).ExplainSomewhere(tc.action)
		want := strings.Replace(tc.text, "the manifest", "the plugin's manifest", 1)
		if d.Allowed != tc.allowed || !strings.Contains(d.Text, want) {
			t.Errorf("%q: %v, %q; want %v, %q", tc.lines, d.Allowed, d.Text, tc.allowed, want)
		}
	}
}
