package preempt

import (
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// batch is how many units a function with loops takes from the budget at a time.
// In between, its loops count in a local, which engines keep in a register; the
// budget itself is a global, in memory.
const batch = 64

// asm builds instructions. Where a branch is hardly ever taken the slow half is
// the else of an if with an empty then: wazero allocates registers in the order of
// the blocks, and so keeps the fast half free of spills.
type asm []byte

func (a *asm) op(op wasmfile.Op) { *a = append(*a, byte(op)) }

// idx appends an instruction with an index.
func (a *asm) idx(op wasmfile.Op, i uint32) { *a = appendU32(append(*a, byte(op)), i) }

func (a *asm) i32(v int32) { *a = appendS32(append(*a, byte(wasmfile.OpI32Const)), v) }

// unless runs the instructions of slow if the i32 on the stack is zero.
func (a *asm) unless(slow func()) {
	*a = append(*a, byte(wasmfile.OpIf), blockEmpty, byte(wasmfile.OpElse))
	slow()
	a.op(wasmfile.OpEnd)
}

// spend takes v from a global, which is then in the local t too.
func (a *asm) spend(global, t uint32, v int32) {
	a.idx(wasmfile.OpGlobalGet, global)
	a.i32(v)
	a.op(wasmfile.OpI32Sub)
	a.idx(wasmfile.OpLocalTee, t)
	a.idx(wasmfile.OpGlobalSet, global)
}

const blockEmpty = 0x40

// body appends a function body with the counts in it.
func (r *rewriter) body(a asm, i int) asm {
	fn := &r.funcs[i]
	src := r.f.Code[i].Bytes
	e := emitter{rewriter: r, fn: fn, asm: a, src: src, at: fn.start}
	e.depth = fn.counted && r.maxDepth > 0
	e.t, e.n = fn.locals, fn.locals+1
	e.locals()
	e.entry()
	if e.depth {
		e.asm = append(e.asm, byte(wasmfile.OpBlock))
		e.asm = append(e.asm, r.blockTypes[r.f.Funcs[i]]...)
	}
	for _, ed := range r.edits[fn.first:fn.last] {
		e.edit(ed)
	}
	e.asm = append(e.asm, src[e.at:]...)
	if e.depth {
		e.leave()
		e.op(wasmfile.OpEnd)
	}
	return e.asm
}

// emitter writes one function.
type emitter struct {
	*rewriter
	asm
	fn    *function
	src   []byte
	at    uint32 // src is written up to here
	t, n  uint32 // our locals: scratch, and what the loops have counted
	depth bool
}

// locals appends the declarations and ours at the end.
func (e *emitter) locals() {
	ours := uint32(0)
	switch {
	case e.fn.loops:
		ours = 2
	case e.fn.entry() || e.fn.bulk || e.depth:
		ours = 1
	default:
		e.asm = append(e.asm, e.src[:e.fn.start]...)
		return
	}
	d := wasmfile.NewReader(e.src, 0, "")
	e.asm = appendU32(e.asm, d.U32()+1)
	e.asm = append(e.asm, e.src[d.Pos():e.fn.start]...)
	e.asm = append(e.asm, byte(ours), typeI32)
}

// entry counts the call.
func (e *emitter) entry() {
	if e.fn.entry() {
		units := 1 + int32(e.fn.instrs/unitWeight)
		if e.fn.loops {
			units += batch
		}
		e.spend(e.budget, e.t, units)
		e.idx(wasmfile.OpLocalGet, e.t)
		e.check()
	}
	if e.depth {
		e.spend(e.level, e.t, e.frame())
		e.idx(wasmfile.OpLocalGet, e.t)
		e.i32(0)
		e.op(opI32GeS)
		e.unless(func() {
			e.idx(wasmfile.OpCall, e.overflow)
			e.op(wasmfile.OpUnreachable)
		})
	}
}

// check yields if the i32 on the stack is negative.
func (e *emitter) check() {
	e.i32(0)
	e.op(opI32GeS)
	e.unless(func() { e.idx(wasmfile.OpCall, e.spent) })
}

// frame is what a call of the function counts for the depth.
func (e *emitter) frame() int32 { return 1 + int32(e.fn.locals/16) }

// leave takes back what entry counted for the depth.
func (e *emitter) leave() {
	e.idx(wasmfile.OpGlobalGet, e.level)
	e.i32(e.frame())
	e.op(wasmfile.OpI32Add)
	e.idx(wasmfile.OpGlobalSet, e.level)
}

// upTo copies the source.
func (e *emitter) upTo(end uint32) {
	e.asm = append(e.asm, e.src[e.at:end]...)
	e.at = end
}

func (e *emitter) edit(ed edit) {
	switch ed.kind {
	case editCall, editRef:
		e.upTo(ed.start + 1) // with the opcode
		e.asm = appendU32(e.asm, e.shift(ed.arg))
		e.at = ed.end
	case editTail:
		e.upTo(ed.start)
		if e.depth {
			e.leave()
		}
		e.idx(wasmfile.OpReturnCall, e.shift(ed.arg))
		e.at = ed.end
	case editTailIndirect:
		e.upTo(ed.start)
		if e.depth {
			e.leave()
		}
	case editReturn:
		if e.depth {
			e.upTo(ed.start)
			e.idx(wasmfile.OpBr, ed.arg)
			e.at = ed.end
		}
	case editLoop:
		e.upTo(ed.end)
		e.round(1 + int32(ed.arg/unitWeight))
	case editBulk:
		e.upTo(ed.start)
		e.length(int32(ed.arg))
	}
}

// round counts a round of a loop.
func (e *emitter) round(units int32) {
	e.idx(wasmfile.OpLocalGet, e.n)
	e.i32(units)
	e.op(wasmfile.OpI32Add)
	e.idx(wasmfile.OpLocalTee, e.n)
	e.i32(batch)
	e.op(wasmfile.OpI32LtS)
	e.unless(func() {
		e.idx(wasmfile.OpLocalGet, e.n)
		e.idx(wasmfile.OpCall, e.refill)
		e.i32(0)
		e.idx(wasmfile.OpLocalSet, e.n)
	})
}

// length counts the length of a bulk instruction, which is on the stack.
func (e *emitter) length(shift int32) {
	e.idx(wasmfile.OpLocalSet, e.t)
	e.idx(wasmfile.OpGlobalGet, e.budget)
	e.idx(wasmfile.OpLocalGet, e.t)
	e.i32(shift)
	e.op(wasmfile.OpI32ShrU)
	e.op(wasmfile.OpI32Sub)
	e.idx(wasmfile.OpGlobalSet, e.budget)
	e.idx(wasmfile.OpGlobalGet, e.budget)
	e.check()
	e.idx(wasmfile.OpLocalGet, e.t)
}

// slowPaths appends the two functions that all others share, with their sizes.
func (r *rewriter) slowPaths(out []byte) []byte {
	var spent asm = []byte{0} // no locals
	spent.idx(wasmfile.OpCall, r.yield)
	spent.i32(r.interval)
	spent.idx(wasmfile.OpGlobalSet, r.budget)
	spent.op(wasmfile.OpEnd)

	var refill asm = []byte{0}
	refill.idx(wasmfile.OpGlobalGet, r.budget)
	refill.idx(wasmfile.OpLocalGet, 0)
	refill.op(wasmfile.OpI32Sub)
	refill.idx(wasmfile.OpLocalTee, 0)
	refill.idx(wasmfile.OpGlobalSet, r.budget)
	refill.idx(wasmfile.OpLocalGet, 0)
	refill.i32(0)
	refill.op(opI32GeS)
	refill.unless(func() { refill.idx(wasmfile.OpCall, r.spent) })
	refill.op(wasmfile.OpEnd)

	for _, b := range []asm{spent, refill} {
		out = append(appendU32(out, uint32(len(b))), b...)
	}
	return out
}

// code appends the content of the code section.
func (r *rewriter) code(out []byte) ([]byte, error) {
	out = appendU32(out, uint32(len(r.f.Code)+2))
	var body asm
	for i := range r.f.Code {
		body = r.body(body[:0], i)
		if len(body) > wasmfile.MaxBodySize {
			return nil, tooLarge("function %d would have %d bytes, at most %d are possible", r.f.ImportedFuncs()+i, len(body), wasmfile.MaxBodySize)
		}
		if n := int(r.funcs[i].locals) + 2 - len(r.f.Types[r.f.Funcs[i]].Params); n > wasmfile.MaxLocals && r.funcs[i].entry() {
			return nil, tooLarge("function %d would have %d locals, at most %d are possible", r.f.ImportedFuncs()+i, n, wasmfile.MaxLocals)
		}
		out = append(appendU32(out, uint32(len(body))), body...)
	}
	return r.slowPaths(out), nil
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}
