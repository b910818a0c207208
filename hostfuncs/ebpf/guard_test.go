package ebpf

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// nobody grants nothing.
var nobody policy.Rights

func TestNothingIsAllowedWithoutAGrant(t *testing.T) {
	withOptions(t, session.Options{Guard: &nobody}, func(t *testing.T, p *puppet) {
		out := ptr(p.room(4).ptr)
		o := p.handle("object_open", file(t, puppetObject)) // reading is free
		text := p.want(abi.NOTCAPABLE, "object_load", o, 0)
		if !strings.Contains(text, `"prog:raw_tracepoint"`) {
			t.Errorf("the denial does not say what to add: %s", text)
		}
		if _, no := p.program("xdp", insns(t, asm.Mov.Imm(asm.R0, 2), asm.Return())); no != abi.NOTCAPABLE {
			t.Errorf("program_load: %s", no)
		}
		p.want(abi.NOTCAPABLE, "map_create", encode(t, &abi.MapOptions{Type: uint32(ebpf.DevMap), KeySize: 4, ValueSize: 4, MaxEntries: 1}), "m", out)
		m := p.newMap(ebpf.Hash, 4, 8, 1) // ordinary maps are free within the budget
		p.want(abi.NOTCAPABLE, "share", m, "name")
		p.want(abi.NOTCAPABLE, "open_shared", "name", abi.KindMap, out)
		p.want(abi.NOTCAPABLE, "pin", m, "name")
		p.want(abi.NOTCAPABLE, "open_pinned", "name", abi.KindMap, out)
		p.want(abi.NOTCAPABLE, "unpin", "name")
		p.want(abi.NOTCAPABLE, "program_enable_stats", out)
		p.want(abi.NOTCAPABLE, "kernel_symbol", "vfs_read", ptr(p.room(8).ptr))
		p.want(abi.NOTCAPABLE, "kernel_symbolize", uint64(1), p.room(8), out, ptr(p.room(8).ptr))
		p.want(abi.NOTCAPABLE, "process_symbolize", 1, uint64(1), p.room(8), out, ptr(p.room(8).ptr))
		p.want(abi.NOTCAPABLE, "kernel_cgroup_id", ".", ptr(p.room(8).ptr))
		p.want(abi.NOTCAPABLE, "kernel_cgroup_path", uint64(1), p.room(8), out)
		p.want(abi.NOTCAPABLE, "socket_open", 1, 0, out)
		p.want(abi.NOTCAPABLE, "process_open", 1, out)
		p.want(abi.NOTCAPABLE, "cgroup_open", ".", out)
		p.want(abi.NOTCAPABLE, "file_open", "/etc/passwd", out)
	})
}

func TestGrantsAllowWhatTheyNameAndNoMore(t *testing.T) {
	withOptions(t, session.Options{Guard: granted(t, "raw_tracepoint:sys_enter", "share:mine-*")}, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Array, 4, 8, 1)
		prog, no := p.program("raw_tracepoint/sys_enter", counting(t, m))
		if no != abi.SUCCESS {
			t.Fatalf("program_load: %s: %s", no, p.lastError())
		}
		p.ok("close", p.handle("link_attach", prog, span{}))
		text := p.want(abi.NOTCAPABLE, "link_attach", prog, encode(t, &abi.Target{Symbol: p.text("sys_exit")}), ptr(p.room(4).ptr))
		if !strings.Contains(text, `"raw_tracepoint:sys_exit"`) {
			t.Errorf("the denial names no grant: %s", text)
		}
		if _, no := p.program("xdp", counting(t, m)); no != abi.NOTCAPABLE {
			t.Errorf("another type of program: %s", no)
		}
		// A helper outside of the grant is found in the instructions, whatever the section says.
		code := insns(t, asm.Mov.Imm(asm.R1, 9), asm.FnSendSignal.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return())
		if _, no := p.program("raw_tracepoint/sys_enter", code); no != abi.NOTCAPABLE || !strings.Contains(p.lastError(), "helper:bpf_send_signal") {
			t.Errorf("bpf_send_signal: %s: %s", no, p.lastError())
		}
		p.want(abi.NOTCAPABLE, "program_test_run", prog, encode(t, &abi.TestRun{}))
		p.ok("share", m, "mine-1")
		p.want(abi.NOTCAPABLE, "share", m, "other")
	})
}

func TestLocalNamesAreJudgedByWhatTheyStandFor(t *testing.T) {
	opts := session.Options{Guard: granted(t, "xdp@lo"), Names: map[string]string{"uplink": "lo", "other": "no-such"}}
	withOptions(t, opts, func(t *testing.T, p *puppet) {
		prog, no := p.program("xdp", insns(t, asm.Mov.Imm(asm.R0, 2), asm.Return()))
		if no != abi.SUCCESS {
			t.Fatal(p.lastError())
		}
		p.ok("close", p.handle("link_attach", prog, encode(t, &abi.Target{Name: p.text("uplink"), Mode: abi.XDPGeneric})))
		text := p.want(abi.NOTCAPABLE, "link_attach", prog, encode(t, &abi.Target{Name: p.text("other")}), ptr(p.room(4).ptr))
		if !strings.Contains(text, `"xdp@no-such"`) {
			t.Errorf("the denial names no grant: %s", text)
		}
	})
}
