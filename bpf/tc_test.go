package bpf

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestTCXRunsInBothDirections(t *testing.T) {
	for _, c := range []struct{ program, target string }{
		{"tcx_in", "vb"}, {"tcx_in", "vb:ingress"}, {"tcx_out", "va"}, {"tc_plain", "vb"}, {"tc_plain", "va:egress"}, {"tc_old", "vb"},
	} {
		t.Run(c.program+" "+c.target, func(t *testing.T) {
			send := pair(t)
			_, p := loadHook(t, "net", c.program)
			target, err := ParseTarget(p.Hook(), c.target)
			if err != nil {
				t.Fatal(err)
			}
			checkRuns(t, mustAttach(t, p, target), send)
		})
	}
}

func TestTCXDirectionsMustAgree(t *testing.T) {
	pair(t)
	o, p := loadHook(t, "net", "tcx_in")
	_, err := o.Attach(p, Target{Interface: "vb", Direction: Egress})
	wantError(t, err, ErrTarget, "section tcx/ingress is for ingress")
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "no interface given")
}

// classic attaches as on kernels without tcx.
func classic(t *testing.T, p *Program, device string, dir Direction) *Link {
	t.Helper()
	index, err := interfaceIndex(device, "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := attachClsact(p, Target{Interface: device}, index, dir)
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	l.of(p)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func qdiscs(t *testing.T, device string) (clsacts int) {
	t.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		t.Fatal(err)
	}
	all, err := netlink.QdiscList(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if q.Type() == "clsact" {
			clsacts++
		}
	}
	return clsacts
}

func TestClassicTCRunsInBothDirections(t *testing.T) {
	for _, dir := range []Direction{Ingress, Egress} {
		send := pair(t)
		_, p := loadHook(t, "net", "tc_plain")
		device := map[Direction]string{Ingress: "vb", Egress: "va"}[dir]
		checkRuns(t, classic(t, p, device, dir), send)
		if n := qdiscs(t, device); n != 0 {
			t.Errorf("%d clsact qdiscs are left on %s", n, device)
		}
	}
}

func TestClassicTCLeavesWhatIsNotItsOwn(t *testing.T) {
	send := pair(t)
	_, first := loadHook(t, "net", "tc_plain")
	_, second := loadHook(t, "net", "tc_old")
	a := classic(t, first, "vb", Ingress)
	b := classic(t, second, "vb", Ingress)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := qdiscs(t, "vb"); n != 1 {
		t.Errorf("got %d clsact qdiscs while a filter of somebody else is there, want 1", n)
	}
	checkRuns(t, b, send)
}

func TestClassicTCOfAVanishedDevice(t *testing.T) {
	kerneltest.Netns(t)
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "gone"}, PeerName: "too"}); err != nil {
		t.Fatal(err)
	}
	_, p := loadHook(t, "net", "tc_plain")
	l := classic(t, p, "gone", Ingress)
	d, err := netlink.LinkByName("gone")
	if err = errors.Join(err, netlink.LinkDel(d)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestActionsAreNotAttached(t *testing.T) {
	o, p := loadHook(t, "net", "tc_action")
	_, err := o.Attach(p, Target{Interface: "lo"})
	wantError(t, err, ErrType, "attach action to lo", "use section tc")
}

func TestNetkitRunsOrSaysWhyNot(t *testing.T) {
	kerneltest.Netns(t)
	o, p, err := tryLoadHook(t, "net", "nk")
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	err = netlink.LinkAdd(&netlink.Netkit{LinkAttrs: netlink.LinkAttrs{Name: "nk0"}, Mode: netlink.NETKIT_MODE_L2})
	if err != nil {
		_, err := o.Attach(p, Target{Interface: "lo"})
		if errors.Is(err, ErrUnsupported) {
			kerneltest.SkipIfUnsupported(t, err)
		}
		wantError(t, err, nil, "attach netkit to lo")
		return
	}
	kerneltest.Up(t, "nk0")
	checkRuns(t, mustAttach(t, p, Target{Interface: "nk0"}), func() { kerneltest.SendFrame(t, "nk0", frame) })
}
