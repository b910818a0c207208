package ebpf

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// target is a target structure with texts.
func (p *puppet) target(t abi.Target, name, symbol string) []byte {
	p.t.Helper()
	if name != "" {
		t.Name = p.text(name)
	}
	if symbol != "" {
		t.Symbol = p.text(symbol)
	}
	return encode(p.t, &t)
}

// link describes a link.
func (p *puppet) link(l int32) (abi.LinkInfo, string) {
	p.t.Helper()
	info, text, n := p.room(structSize("link_info")), p.room(300), p.room(4)
	p.ok("link_info", l, info, text, ptr(n.ptr))
	return decode[abi.LinkInfo](p, info), string(p.read(span{text.ptr, p.u32(n.ptr)}))
}

func TestXDPByModeAndLocalName(t *testing.T) {
	ns := kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	withOptions(t, session.Options{Names: map[string]string{"uplink": "va"}}, func(t *testing.T, p *puppet) {
		ns.Enter(t)
		pass, other := p.returning("xdp", 2), p.returning("xdp", 2)
		for _, mode := range []uint32{abi.XDPAuto, abi.XDPNative, abi.XDPGeneric} {
			l := p.handle("link_attach", pass, p.target(abi.Target{Mode: mode}, "uplink", ""))
			want := mode
			if mode == abi.XDPAuto {
				want = abi.XDPNative
			}
			info, text := p.link(l)
			if info.Mode != want || info.Interface == 0 || info.ID == 0 || !strings.Contains(text, "on va") {
				t.Errorf("mode %d: %+v, %q", mode, info, text)
			}
			p.want(abi.BUSY, "link_attach", other, p.target(abi.Target{Mode: mode}, "va", ""), ptr(p.room(4).ptr))
			p.want(abi.BUSY, "link_update", l, other, other) // pass is there
			p.ok("link_update", l, other, pass)
			after, _ := p.link(l)
			if after.ProgramID == info.ProgramID || after.ID != info.ID {
				t.Errorf("after the update: %+v, before: %+v", after, info)
			}
			p.want(abi.INVAL, "link_update", l, p.returning("tc", 0), 0)
			p.want(abi.INVAL, "iter_open", l, ptr(p.room(4).ptr))
			p.ok("link_detach", l)
			p.want(abi.CANCELED, "link_info", l, p.room(40), p.room(8), ptr(p.room(4).ptr))
			p.want(abi.CANCELED, "link_update", l, pass, 0)
			p.ok("close", l)
		}
		p.want(abi.INVAL, "link_attach", pass, p.target(abi.Target{Mode: 4}, "va", ""), ptr(p.room(4).ptr))
		p.want(abi.NODEV, "link_attach", pass, p.target(abi.Target{}, "nodevice", ""), ptr(p.room(4).ptr))
	})
}

func TestChainsOfProgramsByAnchor(t *testing.T) {
	ns := kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	onEngines(t, func(t *testing.T, p *puppet) {
		ns.Enter(t)
		prog := func() int32 { return p.returning("tcx/ingress", -1) }
		first := p.handle("link_attach", prog(), p.target(abi.Target{}, "va", ""))
		p.handle("link_attach", prog(), p.target(abi.Target{Place: abi.PlaceBefore, Anchor: first}, "va", ""))
		after := p.handle("link_attach", prog(), p.target(abi.Target{Place: abi.PlaceAfter, Anchor: first}, "va", ""))
		p.handle("link_attach", prog(), p.target(abi.Target{Place: abi.PlaceFirst}, "va", ""))
		out := ptr(p.room(4).ptr)
		p.want(abi.INVAL, "link_attach", prog(), p.target(abi.Target{Place: abi.PlaceBefore}, "va", ""), out) // before what?
		p.want(abi.INVAL, "link_attach", prog(), p.target(abi.Target{Place: 5}, "va", ""), out)
		p.want(abi.BADF, "link_attach", prog(), p.target(abi.Target{Place: abi.PlaceBefore, Anchor: prog()}, "va", ""), out)
		p.ok("close", after)
		p.want(abi.BADF, "link_attach", prog(), p.target(abi.Target{Place: abi.PlaceBefore, Anchor: after}, "va", ""), out)
		if no := p.call("link_attach", prog(), p.target(abi.Target{Place: abi.PlaceAfter, Anchor: first, Direction: abi.Egress}, "vb", ""), out); no == abi.SUCCESS {
			t.Error("an anchor on another device was taken")
		}
	})
}

// What a target names has to be there.
func TestTargetsThatAreNotThere(t *testing.T) {
	ns := kerneltest.Netns(t)
	group := kerneltest.Cgroup(t)
	onEngines(t, func(t *testing.T, p *puppet) {
		ns.Enter(t)
		for _, tc := range []struct {
			section      string
			returns      int32
			t            abi.Target
			name, symbol string
			want         abi.Errno
		}{
			{"tracepoint", 0, abi.Target{}, "", "sched/sched_process_exec", abi.SUCCESS},
			{"tracepoint", 0, abi.Target{}, "", "sched/no_such_thing", abi.NOENT},
			{"tracepoint", 0, abi.Target{}, "", "../sched/sched_switch", abi.INVAL},
			{"tracepoint", 0, abi.Target{}, "", "", abi.INVAL},
			{"raw_tracepoint", 0, abi.Target{}, "", "sched_process_exec", abi.SUCCESS},
			{"raw_tracepoint", 0, abi.Target{}, "", "no_such_thing", abi.NOENT},
			{"uprobe", 0, abi.Target{PID: int32(os.Getpid())}, "libc.so.6", "getpid", abi.SUCCESS},
			{"uprobe", 0, abi.Target{}, "libc.so.6", "no_such_function_in_it", abi.NOENT},
			{"uprobe", 0, abi.Target{}, "/no/such/file", "getpid", abi.NOENT},
			{"uprobe", 0, abi.Target{}, "/etc/passwd/x", "getpid", abi.NOENT},
			{"uprobe", 0, abi.Target{PID: 1 << 30}, "libc.so.6", "getpid", abi.SRCH},
			{"uprobe", 0, abi.Target{PID: -5}, "libc.so.6", "getpid", abi.INVAL},
			{"uprobe", 0, abi.Target{Offset: 1 << 62}, "libc.so.6", "", abi.INVAL},
			{"uprobe", 0, abi.Target{}, "", "", abi.INVAL},
			{"perf_event", 0, abi.Target{Frequency: 10}, "", "", abi.SUCCESS},
			{"perf_event", 0, abi.Target{PID: 1 << 30}, "", "", abi.SRCH},
			{"perf_event", 0, abi.Target{PerfType: 1000}, "", "", abi.NOTSUP},
			{"cgroup_skb/egress", 1, abi.Target{}, group, "", abi.SUCCESS},
			{"cgroup_skb/egress", 1, abi.Target{}, "no-such-group", "", abi.NOENT},
			{"cgroup_skb/egress", 1, abi.Target{}, "/etc/passwd", "", abi.NOENT},
			{"cgroup_skb/egress", 1, abi.Target{}, "", "", abi.INVAL},
			{"sockops", 1, abi.Target{}, group, "", abi.SUCCESS},
			{"sk_lookup", 1, abi.Target{}, ns.Path(), "", abi.SUCCESS},
			{"sk_lookup", 1, abi.Target{}, "no-such-namespace", "", abi.NOENT},
			{"flow_dissector", 0, abi.Target{}, "", "", abi.SUCCESS},
			{"iter/task", 0, abi.Target{PID: int32(os.Getpid())}, "", "", abi.SUCCESS},
			{"iter/bpf_map_elem", 0, abi.Target{}, "", "", abi.INVAL},
			{"socket", 0, abi.Target{}, "", "", abi.INVAL},
			{"sk_msg", 1, abi.Target{}, "", "", abi.INVAL},
			{"xdp", 2, abi.Target{}, "", "", abi.INVAL},
			{"syscall", 0, abi.Target{}, "", "", abi.INVAL},
			{"lwt_in", 0, abi.Target{}, "", "", abi.INVAL},
		} {
			switch v := kernel.Running(); {
			case tc.section == "syscall" && !v.AtLeast(5, 14):
				continue
			case tc.section == "iter/task" && !v.AtLeast(6, 1): // not yet of one process
				tc.want = abi.NOTSUP
			}
			prog, out := p.returning(tc.section, tc.returns), p.room(4)
			got := p.call("link_attach", prog, p.target(tc.t, tc.name, tc.symbol), ptr(out.ptr))
			if got != tc.want {
				t.Errorf("%s at %+v %q %q: got %s, want %s: %s", tc.section, tc.t, tc.name, tc.symbol, got, tc.want, p.lastError())
			}
			if got == abi.SUCCESS {
				if _, text := p.link(int32(p.u32(out.ptr))); !strings.Contains(text, "made") {
					t.Errorf("%s: the text is %q", tc.section, text)
				}
				p.ok("close", int32(p.u32(out.ptr)))
			}
			p.ok("close", prog)
		}
	})
}

func TestSocketFiltersGoWithTheirLink(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		_, udp := sockets(t)
		s := p.handle("socket_open", os.Getpid(), udp)
		prog := p.returning("socket", -1)
		l := p.handle("link_attach", prog, p.target(abi.Target{Socket: s}, "", ""))
		if info, text := p.link(l); info.ID != 0 || info.Kernel != 0 || text == "" {
			t.Errorf("%+v, %q", info, text)
		}
		p.want(abi.BADF, "link_attach", prog, p.target(abi.Target{Socket: int32(udp)}, "", ""), ptr(p.room(4).ptr))
		p.want(abi.NOTSUP, "link_update", l, prog, 0)
		p.ok("link_detach", l)
		p.ok("close", l)
	})
}

// iterate loads an iterator that writes eight bytes for each process.
func (p *puppet) iterate() int32 {
	p.t.Helper()
	prog, no := p.program("iter/task", insns(p.t,
		asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord), // bpf_iter_meta
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord), // seq_file
		asm.Mov.Imm(asm.R3, 0x41414141), asm.StoreMem(asm.R10, -8, asm.R3, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -8), asm.Mov.Imm(asm.R3, 8),
		asm.FnSeqWrite.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return()))
	if no != abi.SUCCESS {
		p.t.Fatalf("load an iterator: %s: %s", no, p.lastError())
	}
	return prog
}

func TestIteratorsAreReadToTheirEnd(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		l := p.handle("link_attach", p.iterate(), span{})
		for _, room := range []int{1, 7, 4096} {
			it := p.handle("iter_open", l)
			total := 0
			for {
				buf, n := p.room(room), p.room(4)
				p.ok("iter_read", it, buf, ptr(n.ptr))
				got := int(p.u32(n.ptr))
				if got == 0 {
					break
				}
				total += got
			}
			if total < 16 || total%8 != 0 {
				t.Errorf("reads of %d bytes: %d bytes in all", room, total)
			}
			p.want(abi.INVAL, "iter_read", it, p.room(0), ptr(p.room(4).ptr))
			p.ok("close", it)
		}
		p.want(abi.NOTSUP, "link_detach", l)
	})
}
