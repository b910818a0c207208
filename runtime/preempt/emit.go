package preempt

import (
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// batch is how many units the loops of a function that calls others count in a
// local before they take them from the budget.
const batch = 256

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

// ifNegative runs the instructions of slow if the i32 on the stack is negative.
func (a *asm) ifNegative(slow func()) {
	a.i32(0)
	a.op(opI32GeS)
	a.unless(slow)
}

// less appends a subtraction of a constant.
func (a *asm) less(v int32) {
	a.i32(v)
	a.op(wasmfile.OpI32Sub)
}

const blockEmpty = 0x40

// body appends a function body with the counts in it.
func (r *rewriter) body(a asm, i int) asm {
	fn := &r.funcs[i]
	src := r.f.Code[i].Bytes
	e := emitter{rewriter: r, fn: fn, asm: a, src: src, at: fn.start}
	e.t, e.n, e.l = fn.locals, fn.locals+1, fn.locals+1
	if fn.loops {
		e.l++
	}
	e.locals()
	e.entry()
	if fn.epilogue() {
		e.asm = append(e.asm, byte(wasmfile.OpBlock))
		e.asm = append(e.asm, r.blockTypes[r.f.Funcs[i]]...)
	}
	edits := r.edits[fn.first:fn.last]
	for i, ed := range edits {
		if ed.kind == editSmallLoop {
			e.smallLoop(edits[i:])
		} else {
			e.edit(ed)
		}
	}
	e.asm = append(e.asm, src[e.at:]...)
	if fn.epilogue() {
		e.leave()
		e.op(wasmfile.OpEnd)
	}
	return e.asm
}

// emitter writes one function. What the function spends is counted
//
//   - in the budget itself, a global, by functions without loops,
//   - in a copy in a local by those that call nothing else: they take it at entry
//     and put it back when they leave,
//   - in a local that counts down from zero by all others, which add it to the
//     budget when it is large, and when they leave.
type emitter struct {
	*rewriter
	asm
	fn  *function
	src []byte
	at  uint32 // src is written up to here
	// open are the blocks inside the outermost loop, innermost last.
	open []opened
	// Our locals: scratch, what the loops have counted (or the budget's copy), the
	// depth at entry.
	t, n, l uint32
}

// locals appends the declarations and ours at the end.
func (e *emitter) locals() {
	ours := e.fn.ours()
	if ours == 0 {
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
	if !e.fn.entry() {
		return
	}
	units := 1 + int32(e.fn.instrs/unitWeight)
	switch {
	case e.fn.copies():
		e.idx(wasmfile.OpGlobalGet, e.budget)
		e.less(units)
		e.idx(wasmfile.OpLocalSet, e.n) // the first loop looks at it
		return
	case e.fn.loops: // they are taken with those of the loops
		e.i32(-units)
		e.idx(wasmfile.OpLocalSet, e.n)
		e.idx(wasmfile.OpGlobalGet, e.budget)
	default:
		e.idx(wasmfile.OpGlobalGet, e.budget)
		e.less(units)
		if !e.fn.checks() { // its callers do
			e.idx(wasmfile.OpGlobalSet, e.budget)
			return
		}
		e.idx(wasmfile.OpLocalTee, e.t)
		e.idx(wasmfile.OpGlobalSet, e.budget)
		e.idx(wasmfile.OpLocalGet, e.t)
	}
	if e.fn.counted {
		e.idx(wasmfile.OpGlobalGet, e.level)
		e.idx(wasmfile.OpLocalTee, e.l)
		e.less(e.fn.frame())
		e.idx(wasmfile.OpLocalTee, e.t)
		e.idx(wasmfile.OpGlobalSet, e.level)
		e.idx(wasmfile.OpLocalGet, e.t)
		e.op(opI32Or)
	}
	e.ifNegative(e.renew)
}

// renew is the slow path when the budget is spent.
func (e *emitter) renew() {
	if e.fn.copies() {
		e.idx(wasmfile.OpLocalGet, e.n)
		e.idx(wasmfile.OpCall, e.spent)
		e.idx(wasmfile.OpLocalSet, e.n)
		return
	}
	e.renewGlobal(e.budget, e.spent)
}

func (a *asm) renewGlobal(budget, spent uint32) {
	a.idx(wasmfile.OpGlobalGet, budget)
	a.idx(wasmfile.OpCall, spent)
	a.idx(wasmfile.OpGlobalSet, budget)
}

// leave is what happens before a function returns.
func (e *emitter) leave() {
	switch {
	case e.fn.copies():
		e.idx(wasmfile.OpLocalGet, e.n)
		e.idx(wasmfile.OpGlobalSet, e.budget)
	case e.fn.loops:
		e.idx(wasmfile.OpGlobalGet, e.budget)
		e.idx(wasmfile.OpLocalGet, e.n)
		e.op(wasmfile.OpI32Add)
		e.idx(wasmfile.OpGlobalSet, e.budget)
	}
	if e.fn.counted {
		// A store is sooner done than an addition to what a call has just stored.
		e.idx(wasmfile.OpLocalGet, e.l)
		e.idx(wasmfile.OpGlobalSet, e.level)
	}
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
		e.leave()
		e.idx(wasmfile.OpReturnCall, e.shift(ed.arg))
		e.at = ed.end
	case editTailIndirect:
		e.upTo(ed.start)
		e.leave()
	case editReturn:
		if e.fn.epilogue() {
			e.upTo(ed.start)
			e.idx(wasmfile.OpBr, e.label(ed.arg))
			e.at = ed.end
		}
	case editLoop:
		e.loop(ed)
	case editLoopParams:
		e.upTo(ed.end)
		e.push(1)
		e.spend(ed.units())
		e.limit()
		e.op(opI32GeS)
		e.unless(e.slow)
	case editOpen:
		e.push(1)
	case editEnd:
		e.end(ed)
	case editBr:
		if l := e.label(ed.arg); l != ed.arg {
			e.upTo(ed.start + 1)
			e.asm = appendU32(e.asm, l)
			e.at = ed.end
		}
	case editTable:
		e.table(ed)
	case editBulk:
		e.upTo(ed.start)
		e.length(int32(ed.arg))
	}
}

// length counts the length of a bulk instruction, which is on the stack.
func (e *emitter) length(shift int32) {
	get, set, budget := wasmfile.OpGlobalGet, wasmfile.OpGlobalSet, e.budget
	if e.fn.copies() {
		get, set, budget = wasmfile.OpLocalGet, wasmfile.OpLocalSet, e.n
	}
	e.idx(wasmfile.OpLocalSet, e.t)
	e.idx(get, budget)
	e.idx(wasmfile.OpLocalGet, e.t)
	e.i32(shift)
	e.op(wasmfile.OpI32ShrU)
	e.op(wasmfile.OpI32Sub)
	e.idx(set, budget)
	e.idx(get, budget)
	e.ifNegative(e.renew)
	e.idx(wasmfile.OpLocalGet, e.t)
}

// slowPaths appends the functions that all others share, with their sizes.
func (r *rewriter) slowPaths(out []byte) []byte {
	var spent asm = []byte{0} // no locals
	spent.idx(wasmfile.OpGlobalGet, r.level)
	spent.ifNegative(func() {
		spent.idx(wasmfile.OpCall, r.overflow)
		spent.op(wasmfile.OpUnreachable)
	})
	spent.idx(wasmfile.OpLocalGet, 0)
	spent.idx(wasmfile.OpCall, r.yield)
	spent.op(wasmfile.OpEnd)

	var refill asm = []byte{0}
	refill.idx(wasmfile.OpGlobalGet, r.budget)
	refill.idx(wasmfile.OpLocalGet, 0)
	refill.op(wasmfile.OpI32Add)
	refill.idx(wasmfile.OpLocalTee, 0)
	refill.idx(wasmfile.OpGlobalSet, r.budget)
	refill.idx(wasmfile.OpLocalGet, 0)
	refill.ifNegative(func() { refill.renewGlobal(r.budget, r.spent) })
	refill.op(wasmfile.OpEnd)

	var left asm = []byte{0}
	left.idx(wasmfile.OpGlobalGet, r.budget)
	left.op(wasmfile.OpEnd)

	for _, b := range []asm{spent, refill, left} {
		out = append(appendU32(out, uint32(len(b))), b...)
	}
	return out
}

// maxGrowth is how many times as large as a module its rewritten code may be.
const maxGrowth = 16

// code appends the content of the code section.
func (r *rewriter) code(out []byte) ([]byte, error) {
	out = appendU32(out, uint32(len(r.f.Code)+addedFuncs))
	var body asm
	for i := range r.f.Code {
		body = r.body(body[:0], i)
		if len(body) > wasmfile.MaxBodySize {
			return nil, tooLarge("function %d would have %d bytes, at most %d are possible", r.f.ImportedFuncs()+i, len(body), wasmfile.MaxBodySize)
		}
		fn := &r.funcs[i]
		if n := int(fn.locals+fn.ours()) - len(r.f.Types[r.f.Funcs[i]].Params); n > wasmfile.MaxLocals && fn.ours() > 0 {
			return nil, tooLarge("function %d would have %d locals, at most %d are possible", r.f.ImportedFuncs()+i, n, wasmfile.MaxLocals)
		}
		if out = append(appendU32(out, uint32(len(body))), body...); len(out) > maxGrowth*r.f.Size+1<<16 {
			return nil, tooLarge("its code would have %d times its size", maxGrowth)
		}
	}
	return r.slowPaths(out), nil
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}
