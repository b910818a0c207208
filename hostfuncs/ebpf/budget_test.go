package ebpf

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// large are the options of a map that takes 64 KiB.
func (p *puppet) large() []byte {
	return encode(p.t, &abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 8 << 10})
}

// A map that something else holds still takes memory when its handle is closed.
func TestClosedMapsCountAsLongAsTheKernelHasThem(t *testing.T) {
	opts := session.Options{MapMemory: 80 << 10, PinPath: kerneltest.Bpffs(t) + "/pins"}
	withOptions(t, opts, func(t *testing.T, p *puppet) {
		for _, hold := range []func(m int32) (free func()){
			func(m int32) func() { // a program
				prog, no := p.program("xdp", insns(t, asm.LoadMapPtr(asm.R1, int(m)), asm.Mov.Imm(asm.R0, 1), asm.Return()))
				if no != abi.SUCCESS {
					t.Fatalf("program_load: %s", p.lastError())
				}
				return func() { p.ok("close", prog) }
			},
			func(m int32) func() { // a map of maps
				outer := p.handle("map_create", encode(t, &abi.MapOptions{Type: uint32(ebpf.ArrayOfMaps), KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: m}), "outer")
				p.ok("map_update", outer, native32(0), le32bytes(uint32(m)), uint64(0))
				return func() { p.ok("close", outer) }
			},
			func(m int32) func() { // a pin
				p.ok("pin", m, "held")
				return func() { p.ok("unpin", "held") }
			},
			func(int32) func() { return nil },
		} {
			m := p.handle("map_create", p.large(), "large")
			free := hold(m)
			p.ok("close", m)
			if free != nil {
				p.want(abi.NOMEM, "map_create", p.large(), "large", ptr(p.room(4).ptr))
				free()
			}
			out := p.room(4)
			kerneltest.Eventually(t, "give the memory back", func() bool {
				return p.call("map_create", p.large(), "again", ptr(out.ptr)) == abi.SUCCESS
			})
			p.ok("close", int32(p.u32(out.ptr)))
		}
	})
}

func TestAReaderHoldsItsRing(t *testing.T) {
	withOptions(t, session.Options{MapMemory: 80 << 10}, func(t *testing.T, p *puppet) {
		ring := encode(t, &abi.MapOptions{Type: uint32(ebpf.RingBuf), MaxEntries: 64 << 10})
		m := p.handle("map_create", ring, "ring")
		ev := p.events(m)
		p.ok("close", m)
		p.want(abi.NOMEM, "map_create", ring, "ring", ptr(p.room(4).ptr))
		p.ok("close", ev)
		p.handle("map_create", ring, "ring")
	})
}

func TestPerfBuffersAreCharged(t *testing.T) {
	withOptions(t, session.Options{MapMemory: 1 << 20}, func(t *testing.T, p *puppet) {
		cpus := uint32(ebpf.MustPossibleCPU())
		m := p.newMap(ebpf.PerfEventArray, 4, 4, cpus)
		ev, out := p.handle("events_open"), ptr(p.room(4).ptr)
		for _, size := range []uint32{1 << 20, 1 << 30, 1<<32 - 1} {
			p.want(abi.NOMEM, "events_add", ev, m, encode(t, &abi.EventsOptions{BufferSize: size}), out)
		}
		before := p.inst.s.Memory()
		p.ok("events_add", ev, m, encode(t, &abi.EventsOptions{BufferSize: 5000}), out)
		page := uint64(os.Getpagesize())
		if got, want := before-p.inst.s.Memory(), max(8192, page)*uint64(cpus); got != want {
			t.Errorf("charged %d bytes, want %d", got, want)
		}
		p.ok("close", ev)
		if got := p.inst.s.Memory(); got != before {
			t.Errorf("%d bytes are left after the reader was closed, want %d", got, before)
		}
	})
}

func TestNamesOfAMapAreLimited(t *testing.T) {
	withOptions(t, session.Options{Files: 17}, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Array, 4, 8, 1)
		for i := range 8 {
			p.ok("share", m, fmt.Sprintf("limited-%d-%d", os.Getpid(), i))
		}
		p.want(abi.MFILE, "share", m, fmt.Sprintf("limited-%d-x", os.Getpid()))
		p.ok("close", m)
		p.ok("share", p.newMap(ebpf.Array, 4, 8, 1), fmt.Sprintf("limited-%d-x", os.Getpid()))
	})
}

// Objects that are only opened, and logs, take memory of the host.
func TestObjectsAndLogsAreCharged(t *testing.T) {
	elf := file(t, variables)
	spec, err := bpf.Open(bytes.NewReader(elf))
	if err != nil {
		t.Fatal(err)
	}
	withOptions(t, session.Options{HostMemory: 3*(uint64(len(elf))+spec.Memory()) - 1}, func(t *testing.T, p *puppet) {
		out := ptr(p.room(4).ptr)
		var open []int32
		for range 2 {
			open = append(open, p.handle("object_open", elf))
		}
		p.want(abi.NOMEM, "object_open", elf, out)
		for _, o := range open {
			p.ok("close", o)
		}
		code := insns(t, asm.Mov.Imm(asm.R0, 1), asm.Return())
		o := abi.ProgramOptions{Section: p.text("xdp"), License: p.text("GPL"), Insns: abi.Span{Ptr: p.put(code), Len: uint32(len(code))}, Flags: abi.LoadLog}
		var no abi.Errno
		for no == abi.SUCCESS && p.inst.s.Open() < 1000 {
			no = p.call("program_load", encode(t, &o), out)
		}
		if no != abi.NOMEM {
			t.Errorf("%d programs with their logs were loaded, the next: %s", p.inst.s.Open(), no)
		}
	})
}
