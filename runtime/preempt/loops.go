package preempt

import "github.com/bowline-edge/bowline/internal/wasmfile"

// loop writes the head of a loop. The call that renews the budget stands outside of
// it, because an engine that stores what is alive over a call where it is made
// would store the variables of the loop in every round:
//
//	block  loop  if it is spent renew end
//	  block  loop  br_if 1 if it is spent  ...  end br 2  end
//	br 0 end  end
//
// The inner block is there because wazero is slow with a branch out of a loop, under
// a condition, to the head of another one.
func (e *emitter) loop(ed edit) {
	e.upTo(ed.start)
	typ := e.src[ed.start+1 : ed.end]
	e.asm = append(append(e.asm, byte(wasmfile.OpBlock)), typ...)
	e.asm = append(append(e.asm, byte(wasmfile.OpLoop)), typ...)
	e.limit()
	e.op(opI32GeS)
	e.unless(e.slow)
	e.asm = append(e.asm, byte(wasmfile.OpBlock), blockEmpty)
	e.upTo(ed.end)
	e.push(loopLabels)
	e.limit()
	e.op(wasmfile.OpI32LtS)
	e.idx(wasmfile.OpBrIf, 1)
	e.spend(ed.units())
}

// loopLabels is how many labels stand in place of that of a loop.
const loopLabels = 4

// unroll is how many rounds of a small loop stand one after the other.
const unroll = 4

// smallLoop writes the head of a small loop, and all rounds but the last:
//
//	block  loop  block  loop  br_if 1 if it is spent
//	  block  ...  br 4 end  block  ...  br 4 end  ...
//	end br 2  end  renew  br 0 end  end
//
// Here the engine may store the variables, in every fourth round.
func (e *emitter) smallLoop(edits []edit) {
	ed := edits[0]
	e.upTo(ed.start)
	typ := e.src[ed.start+1 : ed.end]
	e.asm = append(append(e.asm, byte(wasmfile.OpBlock)), typ...)
	e.asm = append(append(e.asm, byte(wasmfile.OpLoop)), typ...)
	e.asm = append(e.asm, byte(wasmfile.OpBlock), blockEmpty)
	e.upTo(ed.end)
	e.limit()
	e.op(wasmfile.OpI32LtS)
	e.idx(wasmfile.OpBrIf, 1)
	ed.arg *= unroll
	e.spend(ed.units())
	for range unroll - 1 {
		e.asm = append(e.asm, byte(wasmfile.OpBlock), blockEmpty)
		e.at = ed.end
		e.push(loopLabels + 1)
		outside := len(e.open)
		for _, in := range edits[1:] {
			if in.kind == editEnd && len(e.open) == outside {
				e.upTo(in.start)
				break
			}
			e.edit(in)
		}
		e.open = e.open[:outside-1]
		e.idx(wasmfile.OpBr, loopLabels)
		e.op(wasmfile.OpEnd)
	}
	e.at = ed.end
	e.push(loopLabels | small)
}

// small marks a small loop.
const small = 1 << 31

// end closes what was opened last.
func (e *emitter) end(ed edit) {
	last := len(e.open) - 1
	labels := e.open[last].labels
	e.open = e.open[:last]
	if labels&^small != loopLabels {
		return
	}
	e.upTo(ed.end)
	e.idx(wasmfile.OpBr, 2)
	e.op(wasmfile.OpEnd)
	if labels&small != 0 {
		e.slow()
	}
	e.idx(wasmfile.OpBr, 0)
	e.op(wasmfile.OpEnd)
	e.op(wasmfile.OpEnd)
}

// push opens a block that stands for one of the source, with as many labels in its
// place.
func (e *emitter) push(labels uint32) {
	o := opened{labels: labels}
	if n := len(e.open); n > 0 {
		o.more = e.open[n-1].more
	}
	o.more += labels&^small - 1
	e.open = append(e.open, o)
}

// opened is an open block.
type opened struct {
	labels uint32
	more   uint32 // labels that were added by this block and all outside of it
}

// label gives the new number of a label.
func (e *emitter) label(l uint32) uint32 {
	n := len(e.open)
	if n == 0 {
		return l
	}
	more := e.open[n-1].more
	if uint64(l) < uint64(n) {
		more -= e.open[n-1-int(l)].more
	}
	return l + more
}

// table writes a br_table.
func (e *emitter) table(ed edit) {
	d := wasmfile.NewReader(e.src, 0, "")
	d.Bytes(ed.start + 1)
	e.upTo(ed.start + 1)
	n := d.U32()
	e.asm = appendU32(e.asm, n)
	for range uint64(n) + 1 {
		e.asm = appendU32(e.asm, e.label(d.U32()))
	}
	e.at = ed.end
}

// units is what a round of a loop counts.
func (ed edit) units() int32 { return 1 + int32(ed.arg/unitWeight) }

// spend takes units for a round from the local.
func (e *emitter) spend(units int32) {
	e.idx(wasmfile.OpLocalGet, e.n)
	e.less(units)
	e.idx(wasmfile.OpLocalSet, e.n)
}

// limit pushes the local, and below which value it is not good for another round.
func (e *emitter) limit() {
	e.idx(wasmfile.OpLocalGet, e.n)
	if e.fn.copies() {
		e.i32(0)
	} else {
		e.i32(-batch)
	}
}

// slow makes the local good for another round.
func (e *emitter) slow() {
	if e.fn.copies() {
		e.renew()
		return
	}
	e.idx(wasmfile.OpLocalGet, e.n)
	e.idx(wasmfile.OpCall, e.refill)
	e.i32(0)
	e.idx(wasmfile.OpLocalSet, e.n)
}
