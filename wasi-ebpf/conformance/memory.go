package conformance

import (
	"context"
	"encoding/binary"

	"github.com/bowline-edge/bowline/runtime/engine"
)

const page = 65536

var memoryScenarios = []scenario{
	{"memory", playMemory},
	{"memory_limit", playMemoryLimit},
	{"memory_hidden", playMemoryHidden},
	{"memory_none", playMemoryNone},
	{"memory_large", playMemoryLarge},
}

func offerLook(p *play) {
	p.host("look", fn("i:"), func(_ context.Context, in engine.Instance, s []uint64) error {
		mem := in.Memory()
		p.logf("%d pages, %d", len(mem)/page, binary.LittleEndian.Uint32(mem[s[0]:]))
		return nil
	})
}

func playMemory(p *play) {
	offerLook(p)
	if !p.load("memory", engine.InstanceConfig{}) {
		return
	}
	p.logf("data: %q", p.in.Memory()[65530:65543])
	copy(p.in.Memory()[100:], []byte{0xfe, 0xff, 0xff, 0xff})
	p.call("load", int32(100))
	p.call("store", int32(200), int32(77))
	p.logf("host reads %d", p.in.Memory()[200])
	p.call("load", int32(2*page-3))
	p.call("grow_between")
	p.call("grow", int32(0))
	p.logf("%d bytes, data: %q", len(p.in.Memory()), p.in.Memory()[65530:65543])
}

func playMemoryLimit(p *play) {
	offerLook(p)
	for _, limit := range []uint64{page, 2*page - 1, 2 * page, 4*page + 5} {
		p.logf("limit %d", limit)
		if !p.load("memory", engine.InstanceConfig{MemoryLimit: limit}) {
			continue
		}
		for _, n := range []int32{1, 1, 1, -1, 0} {
			p.call("grow", n)
		}
		p.logf("%d bytes", len(p.in.Memory()))
		p.call("store", int32(len(p.in.Memory())-4), int32(1))
		p.call("store", int32(len(p.in.Memory())-3), int32(1))
	}
}

func playMemoryHidden(p *play) {
	if !p.load("memory_hidden", engine.InstanceConfig{}) {
		return
	}
	mem := p.in.Memory()
	p.logf("%d bytes, data: %q", len(mem), mem[8:14])
	mem[8] = 'H'
	p.call("load", int32(8))
	for _, n := range []int32{1, 2, 1, 1} {
		p.call("grow", n)
		p.logf("%d bytes", len(p.in.Memory()))
	}
}

func playMemoryNone(p *play) {
	if p.load("empty", engine.InstanceConfig{}) {
		p.logf("memory: %v", p.in.Memory() != nil)
		p.call("seven")
	}
	if p.load("memory_none", engine.InstanceConfig{}) {
		p.logf("%d bytes", len(p.in.Memory()))
		p.call("load", int32(0))
		p.call("grow", int32(1))
		p.logf("%d bytes", len(p.in.Memory()))
		p.call("load", int32(0))
	}
}

// playMemoryLarge grows past 2 GiB, where signed arithmetic breaks. Pages that
// nobody touches cost nothing.
func playMemoryLarge(p *play) {
	const limit = uint64(40000 * page)
	if ^uint(0)>>32 == 0 {
		p.t.Skip("a 32-bit host has no room for it")
	}
	offerLook(p)
	if !p.load("memory", engine.InstanceConfig{MemoryLimit: limit}) {
		return
	}
	p.call("grow", int32(39998))
	p.call("grow", int32(1))
	last := uint(limit) - 4
	p.call("store", int32(uint32(last)), int32(12345))
	mem := p.in.Memory()
	p.logf("%d bytes, at the end %d", len(mem), binary.LittleEndian.Uint32(mem[last:]))
	p.call("store", int32(uint32(last+1)), int32(1))
}
