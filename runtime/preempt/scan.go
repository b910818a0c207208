package preempt

import (
	"fmt"
	"slices"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// editKind is what changes at a place in a function body.
type editKind uint8

const (
	editCall         editKind = iota // a call: shift the index
	editRef                          // a ref.func: shift the index
	editTail                         // a return_call: shift the index, leave a level
	editTailIndirect                 // a return_call_indirect: leave a level
	editReturn                       // a return: branch to the end of the body
	editLoop                         // a loop: count its rounds
	editSmallLoop                    // a loop that is short and simple: count its rounds by fours
	editLoopParams                   // a loop with parameters
	editOpen                         // a block or an if inside a loop
	editEnd                          // the end of one, or of a loop
	editBr                           // a branch inside a loop: shift the label
	editTable                        // a br_table inside a loop: shift the labels
	editBulk                         // a bulk instruction: count before it
)

// edit is one place. The bytes from start to end of the body are the instruction.
type edit struct {
	start, end uint32
	// arg is the function of a call or a ref.func, the label of the body for a
	// return, the label of a branch, the weight in instructions of a loop, the shift
	// of a bulk length.
	arg  uint32
	kind editKind
}

// function is what is known of one defined function.
type function struct {
	first, last uint32 // its edits
	indirect    uint32 // its calls by table, in rewriter.indirect
	instrs      uint32 // the instructions outside of loops
	start       uint32 // where the instructions start in the body
	locals      uint32 // the locals, parameters included
	size        uint32 // of the body in bytes
	loops       bool
	calls       bool
	bulk        bool
	counted     bool // for the depth
}

// What instructions count, in instructions.
const (
	callWeight = 16
	// importWeight is for a call of the host, which may take as long as a write to
	// a terminal: a guest that does little else yields every 200 calls.
	importWeight = 500 * unitWeight
	growWeight   = 4096
	unitWeight   = 16
	// maxWeight is how many instructions there may be between two checks: 130,000 calls of the host take a fraction of a second.
	maxWeight = 1 << 30
	// leafWeight is up to which length a function without loops and calls is not
	// counted on its own: its callers count calls.
	leafWeight = 64
)

// entry tells whether calls of the function are counted.
func (fn *function) entry() bool { return fn.calls || fn.loops || fn.instrs > leafWeight }

// checks tells whether calls of the function look at the budget.
func (fn *function) checks() bool {
	return fn.entry() && !fn.copies()
}

// copies tells whether the function counts in a copy of the budget: nothing that it
// calls does.
func (fn *function) copies() bool { return fn.loops && !fn.calls }

// epilogue tells whether there is something to do before the function returns.
func (fn *function) epilogue() bool { return fn.loops || fn.counted }

// ours is how many locals are added.
func (fn *function) ours() (n uint32) {
	if fn.checks() || fn.bulk || fn.loops {
		n++ // scratch
	}
	if fn.loops {
		n++ // what they have counted
	}
	if fn.counted {
		n++ // the depth at entry
	}
	return n
}

// frame is what a call of the function counts for the depth. A long function may
// have much on its operand stack.
func (fn *function) frame() int32 { return 1 + int32(fn.locals/16) + int32(fn.size/4096) }

type rewriter struct {
	f        *wasmfile.File
	maxDepth int32

	edits    []edit
	funcs    []function
	indirect []uint32 // type indices of calls by table, function by function

	layout
}

// scan finds what has to change in all functions.
func (r *rewriter) scan() error {
	r.funcs = make([]function, len(r.f.Code))
	s := scanner{rewriter: r}
	for i := range r.f.Code {
		if err := s.function(i); err != nil {
			return err
		}
	}
	return nil
}

// needed tells whether there is anything to count.
func (r *rewriter) needed() bool {
	for i := range r.funcs {
		if r.funcs[i].entry() || r.funcs[i].bulk {
			return true
		}
	}
	return false
}

// scanner holds what is reused from function to function.
type scanner struct {
	*rewriter
	// loops has, for each open block, the edit of the innermost loop outside it,
	// or -1.
	loops []int
	// open are the innermost open loops, by their depth modulo the length.
	open     [2 * maxInner]openLoop
	depth    int    // open loops
	seen     int    // loops so far
	unrolled int    // bytes that are added by unrolling
	fixed    uint32 // the instructions of the function's loops whose rounds are not counted
	recent   recent
	known    constants
	finder   tripFinder
}

// openLoop is a loop at whose end it is decided whether its rounds are counted.
type openLoop struct {
	body        wasmfile.Body // at the first instruction
	known       constants     // before it
	start       int
	depth, seen int
	indirect    int // calls by table before it
}

// maxFixedWeight is how many instructions all the loops of a function may have whose rounds are not counted: nothing is checked
// while they run.
const maxFixedWeight = 1 << 20

// maxInner is how many loops may be in one whose rounds are not counted: what is
// read again and again must not depend on the size of a module.
const maxInner = 4

func (s *scanner) function(i int) error {
	w := s.f.Body(i)
	src := s.f.Code[i].Bytes
	fn := &s.funcs[i]
	fn.first, fn.indirect = uint32(len(s.edits)), uint32(len(s.indirect))
	fn.start, fn.locals = uint32(w.Start()), uint32(w.Locals())
	fn.size = uint32(len(src))
	s.loops, s.depth, s.recent = s.loops[:0], 0, recent{}
	s.known.forget()
	s.fixed = 0
	loop := -1
	own := uint32(0) // the instructions of the innermost loop so far
	tooLong := false
	settle := func() {
		sum := &fn.instrs
		if loop >= 0 {
			sum = &s.edits[loop].arg
		}
		*sum += own // both are at most maxWeight
		tooLong = tooLong || *sum > maxWeight
		own = 0
	}
	var in wasmfile.Instr
	for w.Next(&in) {
		if own++; own > maxWeight || tooLong {
			return fmt.Errorf("%w: function %d has too many calls one after the other", ErrTooLarge, s.f.ImportedFuncs()+i)
		}
		switch in.Op {
		case wasmfile.OpBlock, wasmfile.OpIf:
			s.loops = append(s.loops, loop)
			if loop >= 0 {
				s.add(&in, editOpen, 0)
			}
		case wasmfile.OpLoop:
			settle()
			s.loops = append(s.loops, loop)
			loop = len(s.edits)
			kind := editLoop
			if in.Index != wasmfile.NoIndex && len(s.f.Types[in.Index].Params) > 0 {
				kind = editLoopParams
			}
			s.add(&in, kind, 0)
			s.seen++
			s.open[s.depth%len(s.open)] = openLoop{w, s.known, in.End, s.depth, s.seen, len(s.indirect)}
			s.depth++
			s.known.forget()
		case wasmfile.OpBr, wasmfile.OpBrIf:
			if loop >= 0 {
				s.add(&in, editBr, in.Index)
			}
		case wasmfile.OpBrTable:
			if loop >= 0 {
				s.add(&in, editTable, 0)
			}
		case wasmfile.OpEnd:
			if loop >= 0 {
				s.add(&in, editEnd, 0)
			}
			s.known.forget()
			if top := len(s.loops) - 1; top >= 0 {
				if s.loops[top] != loop {
					settle()
					own = s.endLoop(fn, loop, in.End, src)
					loop = s.loops[top]
				}
				s.loops = s.loops[:top]
			}
		case wasmfile.OpElse:
			s.known.forget()
		case wasmfile.OpLocalSet, wasmfile.OpLocalTee:
			s.known.set(in.Index, s.recent.value[0], s.recent.op[0] == wasmfile.OpI32Const)
		default:
			own += s.other(fn, &in)
		}
		s.recent.add(&in, src)
	}
	if settle(); tooLong {
		return fmt.Errorf("%w: function %d has too many calls one after the other", ErrTooLarge, s.f.ImportedFuncs()+i)
	}
	fn.last = uint32(len(s.edits))
	return w.Err()
}

// endLoop decides whether the rounds of a loop are counted. If they are not, it
// answers how many instructions they have together, which count where the loop
// stands.
func (s *scanner) endLoop(fn *function, loop, end int, src []byte) uint32 {
	s.depth--
	o := &s.open[s.depth%len(s.open)]
	e := &s.edits[loop]
	fits := e.kind == editLoop && o.depth == s.depth && s.seen-o.seen <= maxInner
	if fits && end-o.start <= maxTripsSize && len(s.indirect) == o.indirect && !slices.ContainsFunc(s.edits[loop+1:], edit.calls) {
		n, ok := s.finder.trips(o.body, src, &o.known)
		if ok && uint64(n)*uint64(e.arg) <= maxTripsWeight && s.fixed+n*e.arg <= maxFixedWeight {
			s.fixed += n * e.arg
			e.kind = editOpen
			return n * e.arg
		}
	}
	fn.loops = true
	if added := unroll * (end - o.start + 16); fits && end-o.start <= maxUnrollSize && s.unrolled+added <= s.f.Size+1<<16 && simple(s.edits[loop+1:]) {
		e.kind = editSmallLoop
		s.unrolled += added
	}
	return 0
}

// maxUnrollSize is the size in bytes of loops that are unrolled.
const maxUnrollSize = 200

// calls tells whether it is a call of a function by its index.
func (e edit) calls() bool { return e.kind == editCall || e.kind == editTail }

// simple tells whether there are only blocks and branches.
func simple(edits []edit) bool {
	for _, e := range edits {
		switch e.kind {
		case editOpen, editEnd, editBr:
		default:
			return false
		}
	}
	return true
}

func (s *scanner) add(in *wasmfile.Instr, kind editKind, arg uint32) {
	s.edits = append(s.edits, edit{start: uint32(in.Start), end: uint32(in.End), arg: arg, kind: kind})
}

// other notes an instruction that is no block and gives what it counts beyond
// one.
func (s *scanner) other(fn *function, in *wasmfile.Instr) (weight uint32) {
	switch in.Op {
	case wasmfile.OpCall:
		s.add(in, editCall, in.Index)
		if in.Index < uint32(s.f.ImportedFuncs()) {
			fn.calls = true
			return importWeight
		}
	case wasmfile.OpReturnCall:
		s.add(in, editTail, in.Index)
	case wasmfile.OpCallIndirect:
		s.indirect = append(s.indirect, in.Index)
	case wasmfile.OpReturnCallIndirect:
		s.indirect = append(s.indirect, in.Index)
		s.add(in, editTailIndirect, 0)
	case wasmfile.OpRefFunc:
		s.add(in, editRef, in.Index)
		return 0
	case wasmfile.OpReturn:
		s.add(in, editReturn, uint32(in.Depth-1))
		return 0
	case wasmfile.OpMemoryFill, wasmfile.OpMemoryCopy, wasmfile.OpMemoryInit:
		fn.bulk = true
		s.add(in, editBulk, 10) // a unit for every KiB
		return 0
	case wasmfile.OpTableFill, wasmfile.OpTableCopy, wasmfile.OpTableInit, wasmfile.OpTableGrow:
		fn.bulk = true
		s.add(in, editBulk, 6) // a unit for 64 elements
		return 0
	case wasmfile.OpMemoryGrow:
		return growWeight
	default:
		return 0
	}
	fn.calls = true
	return callWeight
}
