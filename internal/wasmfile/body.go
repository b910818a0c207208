package wasmfile

import (
	"fmt"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// Instr is one instruction of a function body.
type Instr struct {
	Op Op
	// Start and End are where it lies in the bytes of the body.
	Start, End int
	// Index is the function, local, global, label or type (call_indirect, blocks
	// with a type index) that it names. For a block without a type index it is
	// [NoIndex].
	Index uint32
	// Depth is how many blocks are open where it stands, the function's own
	// included: a block's own instruction has the depth outside, an end and an
	// else the depth inside.
	Depth int
}

// NoIndex is the Index of an instruction that names nothing.
const NoIndex = ^uint32(0)

// Body walks through the instructions of one function. It checks that they can
// be decoded, that blocks are closed, and that labels and the indices of
// functions, types, locals and globals exist.
type Body struct {
	f      *File
	b      []byte
	base   uint64
	pos    int
	depth  int
	locals int
	start  int
	err    error
}

// Body makes a walker over the body of the defined function i, which counts
// from zero without the imports. An error is in Err.
func (f *File) Body(i int) Body {
	w := Body{f: f, b: f.Code[i].Bytes, base: f.Code[i].Offset, depth: 1}
	r := NewReader(w.b, w.base, SectionCode.String())
	decls := r.Count("local declarations", 2, MaxLocals)
	total := uint64(0)
	for range decls {
		at := r.pos
		total += uint64(r.U32())
		r.valueType()
		if total > MaxLocals {
			r.failAt(at, "%d locals, at most %d are supported", total, MaxLocals)
		}
		if r.err != nil {
			break
		}
	}
	w.locals = int(total) + len(f.Types[f.Funcs[i]].Params)
	w.start, w.pos, w.err = r.pos, r.pos, r.err
	return w
}

// Locals is how many locals the function has, parameters included.
func (w *Body) Locals() int { return w.locals }

// Start is where the instructions start in the bytes of the body.
func (w *Body) Start() int { return w.start }

// Err is the error at which the walk ended. It matches [ErrMalformed].
func (w *Body) Err() error { return w.err }

func (w *Body) fail(pos int, format string, args ...any) bool {
	w.err = &MalformedError{Section: SectionCode.String(), Offset: w.base + uint64(pos), Problem: fmt.Sprintf(format, args...)}
	return false
}

// uint decodes a number; ok is false after an error.
func (w *Body) uint() (v uint32, ok bool) {
	if w.pos < len(w.b) && w.b[w.pos] < 0x80 {
		w.pos++
		return uint32(w.b[w.pos-1]), true
	}
	v, n := u32(w.b, w.pos)
	if n <= 0 {
		return 0, w.fail(w.pos, "%s", lebProblem(n))
	}
	w.pos += n
	return v, true
}

func (w *Body) signed(bits int) (int64, bool) {
	v, n := signed(w.b, w.pos, bits)
	if n <= 0 {
		return 0, w.fail(w.pos, "%s", lebProblem(n))
	}
	w.pos += n
	return v, true
}

func (w *Body) skip(n int) bool {
	if n > len(w.b)-w.pos {
		return w.fail(w.pos, "unexpected end")
	}
	w.pos += n
	return true
}

// index decodes an index that must be below n.
func (w *Body) index(in *Instr, what string, n int) bool {
	at := w.pos
	v, ok := w.uint()
	if ok && uint64(v) >= uint64(n) {
		return w.fail(at, "%s %d, but there are only %d", what, v, n)
	}
	in.Index = v
	return ok
}

// Next decodes one instruction. It returns false after the function's last end
// and at an error.
func (w *Body) Next(in *Instr) bool {
	if w.err != nil || w.depth == 0 {
		return false
	}
	if w.pos >= len(w.b) {
		return w.fail(w.pos, "the function body has no end")
	}
	in.Start, in.Index, in.Depth = w.pos, NoIndex, w.depth
	op := w.b[w.pos]
	in.Op = Op(op)
	w.pos++
	form := plain[op]
	if form != immNone && !w.operands(in, form) {
		return false
	}
	in.End = w.pos
	if w.depth == 0 && w.pos != len(w.b) {
		return w.fail(w.pos, "%d bytes after the end of the function", len(w.b)-w.pos)
	}
	return true
}

func (w *Body) operands(in *Instr, form imm) bool {
	switch form {
	case immBlock:
		w.depth++
		return w.blockType(in)
	case immElse, immNone:
		return true
	case immEnd:
		w.depth--
		return true
	case immLabel:
		return w.index(in, "label", w.depth)
	case immBrTable:
		return w.brTable(in)
	case immFunc:
		return w.index(in, "function", w.f.NumFuncs())
	case immIndirect:
		var table Instr
		return w.index(in, "type", len(w.f.Types)) && w.index(&table, "table", w.f.NumTables())
	case immLocal:
		return w.index(in, "local", w.locals)
	case immGlobal:
		return w.index(in, "global", w.f.NumGlobals())
	case immPrefix:
		return w.prefixed(in)
	}
	return w.plainOperands(in, form)
}

// plainOperands decodes operands that say nothing about the module's structure.
func (w *Body) plainOperands(in *Instr, form imm) (ok bool) {
	switch form {
	case immIndex:
		_, ok = w.uint()
	case immIndex2:
		if _, ok = w.uint(); ok {
			_, ok = w.uint()
		}
	case immMem:
		ok = w.memArg()
	case immMemLane:
		ok = w.memArg() && w.skip(1)
	case immSigned32:
		_, ok = w.signed(32)
	case immSigned64:
		_, ok = w.signed(64)
	case immFixed, immRef:
		ok = w.skip(1)
	case immFixed4:
		ok = w.skip(4)
	case immFixed8:
		ok = w.skip(8)
	case immFixed16:
		ok = w.skip(16)
	case immSelect:
		var n uint32
		if n, ok = w.uint(); ok {
			ok = n <= MaxResults && w.skip(int(n)) || w.fail(w.pos, "%d types of a select", n)
		}
	default:
		ok = w.fail(in.Start, "instruction %s is not supported", in.Op)
	}
	return ok
}

// memArg decodes an alignment, the index of a memory if bit 6 is set, and an
// offset.
func (w *Body) memArg() bool {
	align, ok := w.uint()
	if ok && align&0x40 != 0 {
		_, ok = w.uint()
	}
	if ok {
		_, ok = w.uint()
	}
	return ok
}

func (w *Body) prefixed(in *Instr) bool {
	at := w.pos
	sub, ok := w.uint()
	if !ok {
		return false
	}
	if in.Op != 0xfc && w.pos-at > 1 && w.b[w.pos-1] == 0 {
		// The number in more bytes than it takes is allowed, but wazero reads one byte of it, and so another instruction.
		return w.fail(in.Start, "instruction %s has its number in %d bytes, which are too many", in.Op, w.pos-at)
	}
	var table []imm
	switch in.Op {
	case 0xfc:
		table = misc[:]
	case 0xfd:
		table = simd[:]
	default:
		table = atomic[:]
	}
	if uint64(sub) >= uint64(len(table)) {
		return w.fail(in.Start, "instruction %s %d is not supported", in.Op, sub)
	}
	in.Op = in.Op<<16 | Op(sub)
	form := table[sub]
	return form == immNone || w.plainOperands(in, form)
}

func (w *Body) blockType(in *Instr) bool {
	at := w.pos
	if w.pos >= len(w.b) {
		return w.fail(w.pos, "unexpected end")
	}
	if c := w.b[w.pos]; c >= 0x40 && c < 0x80 {
		w.pos++
		switch v := engine.ValueType(c); v {
		case 0x40, engine.I32, engine.I64, engine.F32, engine.F64, engine.V128, engine.FuncRef, engine.ExternRef:
			return true
		}
		return w.fail(at, "unknown block type 0x%02x", c)
	}
	v, ok := w.signed(33)
	if ok && (v < 0 || v >= int64(len(w.f.Types))) {
		return w.fail(at, "type %d, but there are only %d", v, len(w.f.Types))
	}
	in.Index = uint32(v)
	return ok
}

func (w *Body) brTable(in *Instr) bool {
	n, ok := w.uint()
	if ok && uint64(n) >= uint64(len(w.b)-w.pos) {
		return w.fail(w.pos, "%d labels announced, but only %d bytes are left", n, len(w.b)-w.pos)
	}
	for i := uint64(0); ok && i <= uint64(n); i++ {
		ok = w.index(in, "label", w.depth)
	}
	return ok
}
