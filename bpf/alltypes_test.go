package bpf

import (
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestProgramsRunByThemselves(t *testing.T) {
	for _, name := range []string{"run_action", "run_lwt_in", "run_lwt_out", "run_lwt_xmit", "by_itself"} {
		t.Run(name, func(t *testing.T) {
			o, p := loadHook(t, "testrun", name)
			opts := &ebpf.RunOptions{Data: make([]byte, 64)}
			if p.Type() == ebpf.Syscall {
				opts = &ebpf.RunOptions{Context: make([]byte, 8)}
			}
			kerneltest.CoversProgram(t, p.Type())
			if _, err := p.Kernel().Run(opts); err != nil {
				t.Fatal(err)
			}
			if got := hits(t, o); got != 1 {
				t.Errorf("it ran %d times, want 1", got)
			}
		})
	}
}

// bpf_test_finish is one of the few tracepoints whose programs may write.
func TestWritableTracepointRuns(t *testing.T) {
	_, xdp := loadHook(t, "net", "xdp_pass")
	_, p := loadHook(t, "testrun", "finish")
	checkRuns(t, mustAttach(t, p, Target{}), func() {
		if _, err := xdp.Kernel().Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
			t.Fatal(err)
		}
	})
}

// The kernel takes the program for a route. A packet would need a segment routing header to get there.
func TestSegmentRoutingTakesTheProgram(t *testing.T) {
	kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	_, p := loadHook(t, "testrun", "run_lwt_seg6local")
	kerneltest.CoversProgram(t, p.Type())
	device, err := netlink.LinkByName("va")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/va/disable_ipv6", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	encap := &netlink.SEG6LocalEncap{Action: nl.SEG6_LOCAL_ACTION_END_BPF}
	encap.Flags[nl.SEG6_LOCAL_ACTION], encap.Flags[nl.SEG6_LOCAL_BPF] = true, true
	if err := encap.SetProg(p.Kernel().FD(), "seg6local"); err != nil {
		t.Fatal(err)
	}
	_, to, err := net.ParseCIDR("fc00::1/128")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: device.Attrs().Index, Dst: to, Encap: encap}); err != nil {
		t.Fatal(err)
	}
	info, err := p.Kernel().Info()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Dst: to}, netlink.RT_FILTER_DST)
	if err != nil || len(routes) != 1 {
		t.Fatalf("got %v, %v, want the route", routes, err)
	}
	t.Log(info.Name, routes[0].Encap)
}
