package ebpf

import (
	"testing"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// What the specification says in "Ownership and the order of closing".

func TestAReaderKeepsItsMapsWhenTheObjectIsClosed(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		emit, ring := p.handle("object_program", o, "emit"), p.handle("object_map", o, "ring_a")
		ev := p.events(ring)
		p.emit(emit, 0, 2, 24, 7)
		p.ok("close", ring)
		p.ok("close", o)
		buf, out := p.room(8192), p.room(24)
		p.ok("events_read", ev, buf, uint64(0), out)
		if got := len(p.frames(buf, decode[abi.Batch](p, out))); got != 2 {
			t.Errorf("%d records after the object was closed, want 2", got)
		}
		p.ok("close", ev)
	})
}

func TestWhatAnObjectHasIsCanceledWhenItIsClosed(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		ring, pass := p.handle("object_map", o, "ring_a"), p.handle("object_program", o, "emit_perf")
		link := p.handle("link_attach", pass, span{})
		p.ok("close", o)
		info, n := p.room(96), p.room(4)
		p.want(abi.BADF, "object_load", o, 0)
		p.want(abi.CANCELED, "map_info", ring, info)
		p.want(abi.CANCELED, "program_info", pass, info)
		p.want(abi.CANCELED, "link_attach", pass, span{}, ptr(n.ptr))
		p.want(abi.CANCELED, "link_info", link, info, span{}, ptr(n.ptr))
		p.want(abi.CANCELED, "link_detach", link)
		p.want(abi.CANCELED, "events_add", p.handle("events_open"), ring, span{}, ptr(n.ptr))
		p.ok("close", link)
		p.want(abi.BADF, "close", link)
		p.ok("close", pass)
		p.ok("close", ring)
	})
}

func TestAProgramKeepsTheMapsThatItUses(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.newMap(2, 4, 8, 1)
		prog, no := p.program("xdp", counting(t, m))
		if no != abi.SUCCESS {
			t.Fatalf("%s: %s", no, p.lastError())
		}
		p.ok("close", m)
		run := abi.TestRun{DataIn: p.text("a packet that is long enough for all")}
		at := encode(t, &run)
		p.ok("program_test_run", prog, at)
	})
}

func TestAnObjectWhoseLoadFailedCanBeChangedAndLoaded(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.handle("object_open", file(t, puppetObject))
		p.ok("object_set_map", o, "hash", abi.MapMaxEntries, uint64(1<<28))
		p.want(abi.NOMEM, "object_load", o, 0)
		p.want(abi.INVAL, "object_map", o, "hash", ptr(p.room(4).ptr))
		p.ok("object_set_map", o, "hash", abi.MapMaxEntries, uint64(8))
		p.ok("object_load", o, 0)
		p.handle("object_map", o, "hash")
	})
}
