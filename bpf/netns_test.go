package bpf

import (
	"net"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// datagram sends one packet to ourselves in the current network namespace.
func datagram(t *testing.T) func() {
	return func() {
		t.Helper()
		server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.ReadFrom(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSkLookupRuns(t *testing.T) {
	kerneltest.Netns(t)
	_, p := loadHook(t, "net", "lookup")
	checkRuns(t, mustAttach(t, p, Target{}), datagram(t))
}

func TestSkLookupInANamedNamespace(t *testing.T) {
	ns := kerneltest.Netns(t)
	_, p := loadHook(t, "net", "lookup")
	checkRuns(t, mustAttach(t, p, Target{Netns: ns.Path()}), datagram(t))
}

func TestFlowDissectorRunsAlone(t *testing.T) {
	send := pair(t)
	o, p := loadHook(t, "net", "dissect")
	l := mustAttach(t, p, Target{})
	_, err := o.Attach(p, Target{})
	wantError(t, err, ErrBusy, "flow_dissector")
	checkRuns(t, l, send)
}

func TestFlowDissectorRunsWithoutALink(t *testing.T) {
	send := pair(t)
	_, p := loadHook(t, "net", "dissect")
	l, err := attachFlowDissectorOld(p, "own namespace")
	if err != nil {
		t.Fatal(err)
	}
	l.of(p)
	checkRuns(t, l, send)
}

func TestNamespacesThatDoNotExist(t *testing.T) {
	o, p := loadHook(t, "net", "lookup")
	_, err := o.Attach(p, Target{Netns: "no-such-namespace"})
	wantError(t, err, ErrTarget, "attach sk_lookup to no-such-namespace", "ip netns")
	_, err = o.Attach(p, Target{Netns: "/etc/passwd"})
	wantError(t, err, ErrTarget, "is no network namespace")
}

func TestNetfilterRuns(t *testing.T) {
	kerneltest.Netns(t)
	o, p := loadHook(t, "net", "nf")
	for _, text := range []string{"", "ipv4:output:-100", "ipv4:prerouting"} {
		target, err := ParseTarget(HookNetfilter, text)
		if err != nil {
			t.Fatal(err)
		}
		checkRuns(t, mustAttach(t, p, target), datagram(t))
	}
	l := mustAttach(t, p, Target{})
	defer l.Close()
	_, err := o.Attach(p, Target{})
	wantError(t, err, ErrBusy, "attach netfilter", "ipv4:input:1")
	_, err = o.Attach(p, Target{Family: "arp"})
	wantError(t, err, ErrTarget, `no family "arp"`)
	_, err = o.Attach(p, Target{Chain: "side"})
	wantError(t, err, ErrTarget, `no chain "side"`)
}
