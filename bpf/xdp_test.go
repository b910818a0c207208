package bpf

import (
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// frame is an Ethernet frame to everybody, of a protocol for experiments.
var frame = append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 50)...)

// pair makes two joined devices in a namespace of their own and returns what sends a frame to the second.
func pair(t *testing.T) func() {
	t.Helper()
	kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	return func() { kerneltest.SendFrame(t, "va", frame) }
}

func TestXDPRunsInEachMode(t *testing.T) {
	for _, c := range []struct {
		program, target string
		mode            string
	}{
		{"xdp_pass", "vb", "native"},
		{"xdp_pass", "vb:native", "native"},
		{"xdp_pass", "vb:generic", "generic"},
		{"xdp_frags", "vb", "native"},
	} {
		t.Run(c.program+" "+c.target, func(t *testing.T) {
			send := pair(t)
			_, p := loadHook(t, "net", c.program)
			target, err := ParseTarget(HookXDP, c.target)
			if err != nil {
				t.Fatal(err)
			}
			l := mustAttach(t, p, target)
			if l.Mode() != c.mode {
				t.Errorf("got mode %q, want %q", l.Mode(), c.mode)
			}
			if ids := l.IDs(); len(ids) != 1 {
				t.Errorf("got link numbers %v, want one", ids)
			}
			checkRuns(t, l, send)
		})
	}
}

func TestXDPFallsBackToGeneric(t *testing.T) {
	kerneltest.Netns(t) // loopback has no native XDP
	_, p := loadHook(t, "net", "xdp_pass")
	l := mustAttach(t, p, Target{Interface: "lo"})
	if l.Mode() != "generic" || !strings.Contains(l.Note(), "native refused") {
		t.Errorf("got mode %q, note %q", l.Mode(), l.Note())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	_, err := p.Object().Attach(p, Target{Interface: "lo", Mode: XDPNative})
	wantError(t, err, ErrUnsupported, "attach xdp to lo", "xdp in native mode", "generic")
}

func TestXDPSaysWhoIsThere(t *testing.T) {
	pair(t)
	_, first := loadHook(t, "net", "xdp_pass")
	_, second := loadHook(t, "net", "xdp_other")
	l := mustAttach(t, first, Target{Interface: "vb"})
	defer l.Close()
	for _, mode := range []XDPMode{XDPAuto, XDPNative, XDPGeneric} {
		_, err := second.Object().Attach(second, Target{Interface: "vb", Mode: mode})
		wantError(t, err, ErrBusy, "attach xdp to vb", "(xdp_pass)", "native mode")
	}
}

func TestXDPTargetsThatDoNotExist(t *testing.T) {
	pair(t)
	o, p := loadHook(t, "net", "xdp_pass")
	_, err := o.Attach(p, Target{Interface: "eth1"})
	wantError(t, err, ErrTarget, "attach xdp to eth1: no such interface; give one of: lo, va, vb")
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "attach xdp: no interface given; for example eth0")
	_, err = o.Attach(p, Target{Interface: "vb", Mode: "fast"})
	wantError(t, err, ErrTarget, `no mode "fast"`)
	_, err = o.Attach(p, Target{Interface: "vb", Mode: XDPOffload})
	wantError(t, err, ErrUnsupported, "offload mode")
}

func TestXDPForAMapIsNotAttached(t *testing.T) {
	pair(t)
	o, p := loadHook(t, "net", "xdp_devmap")
	_, err := o.Attach(p, Target{Interface: "vb"})
	wantError(t, err, ErrType, "entry of a devmap")
}

func TestUpdatePutsAnotherProgramInPlace(t *testing.T) {
	send := pair(t)
	first, p := loadHook(t, "net", "xdp_pass")
	second, q := loadHook(t, "net", "xdp_other")
	l := mustAttach(t, p, Target{Interface: "vb"})
	if err := l.Update(q); err != nil {
		t.Fatal(err)
	}
	if l.Program() != q {
		t.Errorf("got program %s, want %s", l.Program().Name(), q.Name())
	}
	send()
	if got := hits(t, first); got != 0 {
		t.Errorf("the first program ran %d times after the update", got)
	}
	if got := hits(t, second); got == 0 {
		t.Error("the second program did not run after the update")
	}
	checkRuns(t, l, send)
}
