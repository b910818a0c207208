package bpf

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// How lost records are counted.
//
// When a ring buffer is full, bpf_ringbuf_reserve and bpf_ringbuf_output fail and the kernel counts nothing: only the program
// learns it, and most programs ignore it. So [Spec.Load] adds five instructions after each call that can fail that way:
//
//	call bpf_ringbuf_output
//	if r0 == 0 goto next        // r0 != 0 for bpf_ringbuf_reserve, whose failure is a null pointer
//	r1 = address of the counter // in an array map that the object does not see
//	r2 = 1
//	lock *(u64 *)(r1 + 0) += r2
//	next:
//
// What bpf_ringbuf_reserve could not give is counted where the program itself tests it, if that can be seen: see losscheck.go.
//
// In a long loop that is one branch more for the verifier to follow per round, which may exceed its limits. Then the added
// instructions for helpers that return a number are tried without a branch: the loss, 0 or 1, is computed and added always.
//
// The registers r1 to r5 mean nothing after a call of a helper and r0 is kept, so the program cannot tell; what it pays is one
// comparison per record. The verifier sees the added instructions as if the author had written them.
//
// Each ring buffer and each perf array of the object has its own counter. Which one a call means is found by following the
// map's address from where it is loaded through registers, spills and branches. Where several are possible (the program
// chooses a ring at run time, or gets it as an argument of a function), the call is made once for each of them, behind
// comparisons of the address. Only records for rings inside a map of maps cannot be told apart: their losses count for every
// ring of the object, so that [Ring.Lost] may be too high in such an object, never too low.
//
// A program that cannot be changed safely (a jump that would become too long for its instruction, an indirect jump) or that
// the verifier rejects only with counters is loaded as it was written, and [Ring.Counted] and [Perf.Counted] say so.

// emit says what a helper's result means and in which register it takes the map.
type emit struct {
	mapArg  asm.Register
	okIsSet bool // the result is a pointer, null after a failure; else it is zero after success
	perf    bool
}

var emitters = map[asm.BuiltinFunc]emit{
	asm.FnRingbufOutput:        {mapArg: asm.R1},
	asm.FnRingbufReserve:       {mapArg: asm.R1, okIsSet: true},
	asm.FnRingbufReserveDynptr: {mapArg: asm.R1},
	asm.FnPerfEventOutput:      {mapArg: asm.R2, perf: true},
	asm.FnSkbOutput:            {mapArg: asm.R2, perf: true},
	asm.FnXdpOutput:            {mapArg: asm.R2, perf: true},
}

// emitOf reports whether an instruction calls a helper that can lose a record.
func emitOf(ins *asm.Instruction) (emit, bool) {
	if !ins.IsBuiltinCall() {
		return emit{}, false
	}
	e, ok := emitters[asm.BuiltinFunc(ins.Constant)]
	return e, ok
}

// Slots of the hidden map. The two kinds of unknown come first, then the object's rings and perf arrays.
const (
	slotUnknownRing = iota
	slotUnknownPerf
	slotFirst
)

// lossPlan says which map of an object counts in which slot.
type lossPlan struct {
	slots    map[string]int
	kinds    map[int]int // slot -> slotUnknownRing or slotUnknownPerf
	only     [2]int      // the only ring, the only perf array; zero if there are none or several
	inner    [2]bool     // there are rings, perf arrays in maps of maps
	names    []string
	excepted map[string]error // maps that are not counted exactly, and why; "" for all
}

// newLossPlan gives a slot to each ring buffer and perf array, or returns nil if there are none.
func newLossPlan(coll *ebpf.CollectionSpec, names []string) *lossPlan {
	p := &lossPlan{slots: make(map[string]int), kinds: make(map[int]int), names: names, excepted: make(map[string]error)}
	var count [2]int
	for _, name := range names {
		m := coll.Maps[name]
		if k, ok := kindOf(m.Type); ok {
			p.slots[name] = slotFirst + len(p.slots)
			p.kinds[p.slots[name]] = k
			p.only[k] = p.slots[name]
			count[k]++
		}
		if m.InnerMap != nil {
			if k, ok := kindOf(m.InnerMap.Type); ok {
				p.inner[k] = true
			}
		}
	}
	for k, n := range count {
		if n != 1 || p.inner[k] {
			p.only[k] = 0
		}
	}
	if len(p.slots) == 0 {
		return nil
	}
	return p
}

func kindOf(t ebpf.MapType) (int, bool) {
	switch t {
	case ebpf.RingBuf:
		return slotUnknownRing, true
	case ebpf.PerfEventArray:
		return slotUnknownPerf, true
	}
	return 0, false
}

// except notes that the records of some slots are not all counted.
func (p *lossPlan) except(sites []site, why error) {
	for _, s := range sites {
		for name, slot := range p.slots {
			if slot == s.slot || s.slot < slotFirst || slices.Contains(s.others, candidate{name, slot}) {
				p.excepted[name] = why
			}
		}
	}
}

// site is a call after which losses are counted.
type site struct {
	index  int // of the call
	emit   emit
	slot   int         // where to count if the map is none of others
	others []candidate // maps that it may also be
}

// candidate is a map that a call may mean.
type candidate struct {
	name string
	slot int
}

// sites finds the calls to instrument.
func (p *lossPlan) sites(insns asm.Instructions) []site {
	var out []site
	traced := false
	for i := range insns {
		e, ok := emitOf(&insns[i])
		if !ok {
			continue
		}
		s := site{index: i, emit: e, slot: slotUnknownRing}
		if e.perf {
			s.slot = slotUnknownPerf
		}
		if only := p.only[s.slot]; only != 0 {
			s.slot = only
		} else {
			traced = true
		}
		out = append(out, s)
	}
	if !traced {
		return out
	}
	found := traceMaps(insns, p.slots)
	for i := range out {
		if s := &out[i]; s.slot < slotFirst {
			p.choose(s, found[s.index])
		}
	}
	return out
}

// choose turns what tracing found about a call into the counters to choose from at run time.
func (p *lossPlan) choose(s *site, found places) {
	kind := s.slot
	if found == 0 {
		found = anything
	}
	for _, name := range p.names { // in order, so that the code is the same each time
		slot, ok := p.slots[name]
		if ok && p.kinds[slot] == kind && (found&anything != 0 || slot < 64 && found&(1<<slot) != 0) {
			s.others = append(s.others, candidate{name, slot})
		}
	}
	if n := len(s.others); n > 0 && (found&anything == 0 || !p.inner[kind]) { // the last one needs no comparison
		s.slot = s.others[n-1].slot
		s.others = s.others[:n-1]
	}
}

// counterStride keeps the counters of different rings in different cache lines.
const counterStride = 64

// counterCode is one way to write the added instructions.
type counterCode int

const (
	atCheck       counterCode = iota // as withBranch, but count reservations where the program itself tests them
	withBranch                       // count behind a branch
	withoutBranch                    // add zero or one always, where that is possible
	withoutChoice                    // as withBranch, and where several rings are possible count for all of them
)

var errCannotCount = errors.New("its code cannot be changed safely")

// instrument returns a copy of a program that counts after each site in the map with the descriptor fd. It fails, without
// having changed anything, if that cannot be done safely.
func instrument(insns asm.Instructions, sites []site, fd int, code counterCode) (asm.Instructions, error) {
	l, err := newLayout(insns)
	if err != nil {
		return nil, err
	}
	// What stands in for some instructions, and where each one will be, in raw instructions.
	patches, err := l.patches(insns, sites, fd, code)
	if err != nil {
		return nil, err
	}
	moved := make([]int64, len(insns)+1)
	var added int64
	for i := range insns {
		moved[i] = l.raw[i] + added
		if p, ok := patches[i]; ok {
			added += int64(p.code.Size()/asm.InstructionSize) - int64(insns[i].Width())
		}
	}
	moved[len(insns)] = l.raw[len(insns)] + added

	out := make(asm.Instructions, 0, len(insns)+4*len(sites))
	for i := range insns {
		ins := insns[i]
		patch, patched := patches[i]
		from := moved[i] + 1
		if patched {
			from += int64(patch.code[:patch.jump].Size() / asm.InstructionSize)
		}
		if target, ok := l.target[i]; ok {
			distance := moved[target] - from
			if isLongJump(&ins) {
				if distance != int64(int32(distance)) {
					return nil, fmt.Errorf("%w: a jump at instruction %d would become too long", errCannotCount, i)
				}
				ins.Constant = distance
			} else {
				// The library takes -1 with a reference for "still to be resolved"; there is none on these.
				if distance < math.MinInt16 || distance > math.MaxInt16 {
					return nil, fmt.Errorf("%w: a jump at instruction %d would become too long", errCannotCount, i)
				}
				ins.Offset = int16(distance)
			}
		}
		if target, ok := l.symbol[i]; ok && !isLongJump(&ins) {
			if distance := moved[target] - from; distance < math.MinInt16 || distance > math.MaxInt16 {
				return nil, fmt.Errorf("%w: a jump at instruction %d would become too long", errCannotCount, i)
			}
		}
		if patched {
			if isJump(&ins) {
				patch.code[patch.jump] = ins
			}
			out = append(out, patch.code...)
			continue
		}
		out = append(out, ins)
	}
	return out, nil
}

// patch is what stands in for an instruction. If that is a jump, it is among the code.
type patch struct {
	code asm.Instructions
	jump int
}

// patches are the changes of a program, by the instruction that is changed.
func (l *layout) patches(insns asm.Instructions, sites []site, fd int, code counterCode) (map[int]patch, error) {
	patches := make(map[int]patch)
	for _, s := range sites {
		call := insns[s.index]
		if call.Reference() != "" {
			return nil, fmt.Errorf("%w: a call with a reference at instruction %d", errCannotCount, s.index)
		}
		behind := func(slot int) asm.Instructions { return count(s.emit, slot, fd, code) }
		if code == atCheck && s.emit.okIsSet {
			if c, ok := l.findCheck(insns, s.index); ok {
				at, jump := c.countAt(insns, s, fd)
				patches[c.jump] = patch{code: at, jump: jump}
				if len(s.others) == 0 {
					continue
				}
				behind = c.remember
			}
		}
		patches[s.index] = patch{code: counted(call, s, behind, code)}
	}
	return patches, nil
}

// counted is a call and the counting of its losses.
//
//	r0 = address of map A       // r0 means nothing before a call
//	if r1 == r0 goto a          // r2 for perf arrays
//	call; count for the last; goto next
//	a: call; count for A
//	next:
//
// What other instructions know about the call (that a function begins there, its source line) moves to the first of these.
func counted(call asm.Instruction, s site, behind func(slot int) asm.Instructions, code counterCode) asm.Instructions {
	if len(s.others) == 0 || code == withoutChoice {
		slot := s.slot
		if len(s.others) > 0 {
			slot = slotUnknownRing
			if s.emit.perf {
				slot = slotUnknownPerf
			}
		}
		return append(asm.Instructions{call}, behind(slot)...)
	}
	copied := call.WithMetadata(asm.Metadata{})
	if src := call.Source(); src != nil {
		copied = copied.WithSource(src)
	}
	var blocks []asm.Instructions
	blocks = append(blocks, append(asm.Instructions{copied}, behind(s.slot)...))
	for _, c := range s.others {
		blocks = append(blocks, append(asm.Instructions{copied}, behind(c.slot)...))
	}
	length := int16(blocks[0].Size()/asm.InstructionSize) + 1 // with the jump behind it; all have the same
	var out asm.Instructions
	const test = 3 // raw instructions of a comparison: the load is two
	for i, c := range s.others {
		load := asm.LoadMapPtr(asm.R0, 0)
		if i == 0 {
			load = load.WithMetadata(call.Metadata)
		}
		rest := int16(len(s.others)-1-i) * test
		out = append(out, load.WithReference(c.name),
			asm.Instruction{OpCode: asm.JEq.Op(asm.RegSource), Dst: s.emit.mapArg, Src: asm.R0, Offset: rest + int16(i+1)*length})
	}
	for i, b := range blocks {
		out = append(out, b...)
		if left := int16(len(blocks) - 1 - i); left > 0 {
			out = append(out, asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource), Offset: left*length - 1})
		}
	}
	return out
}

// count is what is added after a call.
func count(e emit, slot, fd int, code counterCode) asm.Instructions {
	counter := asm.LoadMapValue(asm.R1, fd, uint32(slot*counterStride))
	if e.okIsSet || code != withoutBranch {
		ok := asm.JEq
		if e.okIsSet {
			ok = asm.JNE
		}
		const distance = 4 // over the load, which is two, the move and the addition
		return asm.Instructions{
			{OpCode: ok.Op(asm.ImmSource), Dst: asm.R0, Offset: distance},
			counter,
			asm.Mov.Imm(asm.R2, 1),
			asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
		}
	}
	return asm.Instructions{ // r2 = (r0 | -r0) >> 63, which is 1 unless r0 is 0
		asm.Mov.Reg(asm.R2, asm.R0),
		asm.Neg.Imm(asm.R2, 0),
		asm.Or.Reg(asm.R2, asm.R0),
		asm.RSh.Imm(asm.R2, 63),
		counter,
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
	}
}
