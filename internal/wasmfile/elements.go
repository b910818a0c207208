package wasmfile

import (
	"encoding/binary"
)

// ConstExpr is an expression that is evaluated once, at instantiation.
type ConstExpr struct {
	// Bytes are the instructions, with the closing end.
	Bytes []byte
	// Op is the opcode of an expression that consists of one instruction, else 0.
	Op byte
	// Value is the bits of a constant, or the index that the instruction names.
	Value uint64
}

// Address is the value of an i32 constant as an address.
func (e ConstExpr) Address() (uint64, bool) {
	return e.Value, e.Op == opI32Const
}

const (
	opEnd       = 0x0b
	opGlobalGet = 0x23
	opI32Const  = 0x41
	opI64Const  = 0x42
	opF32Const  = 0x43
	opF64Const  = 0x44
	opRefNull   = 0xd0
	opRefFunc   = 0xd2
)

// constExpr reads a constant expression and shows its function indices to fn.
func (f *File) constExpr(r *Reader, fn func(start, end int, index uint32)) ConstExpr {
	start := r.pos
	var e ConstExpr
	for n := 0; r.err == nil; n++ {
		at := r.pos
		op := r.Byte()
		var v uint64
		switch op {
		case opEnd:
			if n != 1 {
				e.Op, e.Value = 0, 0
			}
			e.Bytes = r.b[start:r.pos:r.pos]
			return e
		case opI32Const:
			v = uint64(uint32(r.S32()))
		case opI64Const:
			v = uint64(r.S64())
		case opF32Const:
			if s := r.Bytes(4); s != nil {
				v = uint64(binary.LittleEndian.Uint32(s))
			}
		case opF64Const:
			if s := r.Bytes(8); s != nil {
				v = binary.LittleEndian.Uint64(s)
			}
		case opGlobalGet:
			v = uint64(r.index("global", f.NumGlobals()))
		case opRefNull:
			v = uint64(r.refType())
		case opRefFunc:
			v = uint64(f.funcIndex(r, fn))
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul of i32 and i64
		case 0xfd:
			if sub := r.U32(); sub != 12 { // v128.const
				r.failAt(at, "instruction 0xfd %d in a constant expression", sub)
			}
			r.Bytes(16)
		default:
			r.failAt(at, "instruction 0x%02x in a constant expression", op)
		}
		e.Op, e.Value = op, v
	}
	return ConstExpr{}
}

// parseElements reads all eight forms of element segments.
func (f *File) parseElements(r *Reader, fn func(start, end int, index uint32)) {
	items := 0
	f.Elements = r.Count("element segments", 2, MaxElements)
	for range f.Elements {
		at := r.pos
		flags := r.U32()
		if flags > 7 {
			r.failAt(at, "unknown form %d of an element segment", flags)
		}
		passive := flags&1 != 0  // or declarative, if explicit too
		explicit := flags&2 != 0 // an explicit table index, or declarative
		exprs := flags&4 != 0
		if !passive {
			if explicit {
				r.index("table", f.NumTables())
			}
			f.constExpr(r, fn)
		}
		if passive || explicit {
			if exprs {
				r.refType()
			} else if kind := r.Byte(); kind != 0 {
				r.Fail("unknown kind %d of elements", kind)
			}
		}
		size := 1
		if exprs {
			size = 3
		}
		n := r.Count("elements", size, MaxElemItems)
		if items += n; items > MaxElemItems {
			r.Fail("more than %d elements", MaxElemItems)
		}
		for range n {
			if r.err != nil {
				return
			}
			if exprs {
				f.constExpr(r, fn)
			} else {
				f.funcIndex(r, fn)
			}
		}
		if r.err != nil {
			return
		}
	}
}
