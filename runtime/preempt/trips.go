package preempt

import (
	"github.com/bowline-edge/bowline/internal/wasmfile"
)

const (
	// maxTripsSize is up to which size in bytes it is looked whether a loop has a
	// fixed number of rounds.
	maxTripsSize = 4096
	// maxCandidates is how many counters and how many tests are looked at.
	maxCandidates = 4
	// maxTripsWeight is how many instructions the rounds of such a loop may have
	// together; longer ones are counted like others.
	maxTripsWeight = 1 << 14
)

// constant is a local that holds a constant.
type constant struct {
	local uint32
	value int32
	ok    bool
}

// constants are the locals that were set to constants last, in straight code.
type constants struct {
	list [8]constant
	next int
}

func (c *constants) forget() { *c = constants{} }

// set notes that a local was set, to a constant or to something else.
func (c *constants) set(local uint32, value int32, known bool) {
	for i := range c.list {
		if c.list[i].local == local {
			c.list[i].ok = false
		}
	}
	if known {
		c.list[c.next] = constant{local, value, true}
		c.next = (c.next + 1) % len(c.list)
	}
}

func (c *constants) value(local uint32) (int32, bool) {
	for _, k := range c.list {
		if k.ok && k.local == local {
			return k.value, true
		}
	}
	return 0, false
}

// recent are the last instructions, the newest first.
type recent struct {
	op    [3]wasmfile.Op
	index [3]uint32 // of a local
	value [3]int32  // of a constant
}

// add notes an instruction of a body.
func (r *recent) add(in *wasmfile.Instr, body []byte) {
	r.op[2], r.op[1], r.op[0] = r.op[1], r.op[0], in.Op
	r.index[2], r.index[1], r.index[0] = r.index[1], r.index[0], in.Index
	r.value[2], r.value[1], r.value[0] = r.value[1], r.value[0], 0
	if in.Op == wasmfile.OpI32Const {
		d := wasmfile.NewReader(body[in.Start+1:in.End], 0, "")
		r.value[0] = d.S32()
	}
}

// local tells whether the i-th last instruction pushed a local.
func (r *recent) local(i int) bool {
	return r.op[i] == wasmfile.OpLocalGet || r.op[i] == wasmfile.OpLocalTee
}

// step tells whether the last instructions have added a constant to a local.
func (r *recent) step(local uint32) (int32, bool) {
	if r.op[1] != wasmfile.OpI32Const || !r.local(2) || r.index[2] != local {
		return 0, false
	}
	switch r.op[0] {
	case wasmfile.OpI32Add:
		return r.value[1], true
	case wasmfile.OpI32Sub:
		return -r.value[1], true
	}
	return 0, false
}

// test tells whether the last instructions have compared a local with a constant,
// with the given comparison.
func (r *recent) test(op wasmfile.Op) (local uint32, value int32, ok bool) {
	switch {
	case r.op[0] == op && r.op[1] == wasmfile.OpI32Const && r.local(2):
		return r.index[2], r.value[1], true
	case op == opI32Eq && r.op[0] == wasmfile.OpI32Eqz && r.local(1):
		return r.index[1], 0, true
	case op == opI32Ne && r.local(0):
		return r.index[0], 0, true
	}
	return 0, 0, false
}

// counter is a local that a loop changes by a constant in every round.
type counter struct {
	local uint32
	step  int32
	at    int // where in the body
}

// bound is a test that ends a loop.
type bound struct {
	local uint32
	value int32
	at    int
	back  bool // it is the branch back; otherwise a branch out of the loop
}

// tripFinder looks at one loop.
type tripFinder struct {
	recent
	counters []counter
	bounds   []bound
	writes   []uint32 // locals, as often as they are written
	backs    int      // branches back
	back     int      // where the first is
}

// trips gives the number of rounds that a loop has at most, if that can be read off
// it: a local that has a constant value before the loop changes by a constant in
// every round, and the loop ends when it has a certain value. w stands behind the
// loop's instruction, and body are the bytes that it walks through.
//
// What stands in the loop but in none of its blocks runs in every round from which
// there is a branch back behind it.
func (t *tripFinder) trips(w wasmfile.Body, body []byte, before *constants) (uint32, bool) {
	t.recent = recent{}
	t.counters, t.bounds, t.writes, t.backs = t.counters[:0], t.bounds[:0], t.writes[:0], 0
	var in wasmfile.Instr
	top := -1 // the depth inside of the loop
	for w.Next(&in) {
		if top < 0 {
			top = in.Depth
		}
		if in.Op == wasmfile.OpEnd && in.Depth == top {
			break
		}
		if !t.instr(&in, top) {
			return 0, false
		}
		t.add(&in, body)
	}
	for _, b := range t.bounds {
		if b.back && t.backs > 1 || b.at > t.back {
			continue
		}
		for _, c := range t.counters {
			if c.local != b.local || c.at > t.back || t.written(c.local) > 1 {
				continue
			}
			if start, ok := before.value(c.local); ok {
				if n, ok := rounds(start, c.step, b.value, c.at < b.at); ok {
					return n, true
				}
			}
		}
	}
	return 0, false
}

// instr looks at one instruction. It answers false if the loop is none that ends
// by counting.
func (t *tripFinder) instr(in *wasmfile.Instr, top int) bool {
	switch in.Op {
	case wasmfile.OpLocalSet, wasmfile.OpLocalTee:
		t.writes = append(t.writes, in.Index)
		if step, ok := t.step(in.Index); ok && in.Depth == top && len(t.counters) < maxCandidates {
			t.counters = append(t.counters, counter{in.Index, step, in.Start})
		}
	case wasmfile.OpBrTable:
		return false // it may go back
	case wasmfile.OpBr, wasmfile.OpBrIf:
		if int(in.Index) == in.Depth-top {
			if in.Depth != top {
				return false
			}
			if t.backs++; t.backs == 1 {
				t.back = in.Start
			}
			if local, value, ok := t.test(opI32Ne); ok && in.Op == wasmfile.OpBrIf && len(t.bounds) < maxCandidates {
				t.bounds = append(t.bounds, bound{local, value, in.Start, true})
			}
		} else if in.Depth == top && in.Op == wasmfile.OpBrIf {
			if local, value, ok := t.test(opI32Eq); ok && len(t.bounds) < maxCandidates {
				t.bounds = append(t.bounds, bound{local, value, in.Start, false})
			}
		}
	}
	return true
}

func (t *tripFinder) written(local uint32) (n int) {
	for _, w := range t.writes {
		if w == local {
			n++
		}
	}
	return n
}

// rounds counts from start by step until the value is end, which is looked at after
// the step or before it.
func rounds(start, step, end int32, after bool) (uint32, bool) {
	way, stride := uint32(end)-uint32(start), uint32(step)
	if step < 0 {
		way, stride = -way, -stride
	}
	if stride == 0 || way%stride != 0 || way/stride > maxTripsWeight {
		return 0, false
	}
	n := way / stride
	if !after {
		n++
	}
	return n, n > 0
}
