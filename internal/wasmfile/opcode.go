package wasmfile

import "fmt"

// Op is an opcode. Those behind a prefix byte are prefix<<16 | number.
type Op uint32

// The opcodes that somebody has to know. Others are only numbers here.
const (
	OpUnreachable        Op = 0x00
	OpBlock              Op = 0x02
	OpLoop               Op = 0x03
	OpIf                 Op = 0x04
	OpElse               Op = 0x05
	OpEnd                Op = 0x0b
	OpBr                 Op = 0x0c
	OpBrIf               Op = 0x0d
	OpBrTable            Op = 0x0e
	OpReturn             Op = 0x0f
	OpCall               Op = 0x10
	OpCallIndirect       Op = 0x11
	OpReturnCall         Op = 0x12
	OpReturnCallIndirect Op = 0x13
	OpLocalGet           Op = 0x20
	OpLocalSet           Op = 0x21
	OpLocalTee           Op = 0x22
	OpGlobalGet          Op = 0x23
	OpGlobalSet          Op = 0x24
	OpTableSet           Op = 0x26
	OpMemoryGrow         Op = 0x40
	OpI32Const           Op = 0x41
	OpI32Eqz             Op = 0x45
	OpI32LtS             Op = 0x48
	OpI32Add             Op = 0x6a
	OpI32Sub             Op = 0x6b
	OpI32ShrU            Op = 0x76
	OpRefFunc            Op = 0xd2
	OpMemoryInit         Op = 0xfc<<16 | 8
	OpMemoryCopy         Op = 0xfc<<16 | 10
	OpMemoryFill         Op = 0xfc<<16 | 11
	OpTableInit          Op = 0xfc<<16 | 12
	OpTableCopy          Op = 0xfc<<16 | 14
	OpTableGrow          Op = 0xfc<<16 | 15
	OpTableFill          Op = 0xfc<<16 | 17
)

// String is the number as in the specification's tables.
func (o Op) String() string {
	if o > 0xff {
		return fmt.Sprintf("0x%02x %d", uint32(o>>16), uint32(o&0xffff))
	}
	return fmt.Sprintf("0x%02x", uint32(o))
}

// imm is the form of the immediate operands of an instruction.
type imm byte

const (
	immBad imm = iota
	immNone
	immBlock      // a block type; opens a block
	immElse       // else
	immEnd        // closes a block
	immLabel      // a label
	immBrTable    // a list of labels and one more
	immFunc       // a function index
	immIndirect   // a type index and a table index
	immLocal      // a local index
	immGlobal     // a global index
	immIndex      // some other index, not checked
	immIndex2     // two other indices, not checked
	immMem        // alignment and offset
	immMemLane    // alignment, offset and a lane
	immSigned32   // an i32 constant
	immSigned64   // an i64 constant
	immFixed      // one byte
	immFixed4     // four bytes
	immFixed8     // eight bytes
	immFixed16    // sixteen bytes
	immSelect     // a list of value types
	immRef        // a reference type
	immPrefix     // another opcode follows
	simdOps       = 0x114
	atomicOps     = 0x4f
	saturatingOps = 18
)

// plain has the immediates of the one-byte opcodes, misc, simd and atomic of
// those behind 0xfc, 0xfd and 0xfe.
var (
	plain  = plainTable()
	misc   = [saturatingOps]imm{immNone, immNone, immNone, immNone, immNone, immNone, immNone, immNone, immIndex2, immIndex, immIndex2, immIndex, immIndex2, immIndex, immIndex2, immIndex, immIndex, immIndex}
	simd   = simdTable()
	atomic = atomicTable()
)

func plainTable() (t [256]imm) {
	set := func(from, to int, i imm) {
		for op := from; op <= to; op++ {
			t[op] = i
		}
	}
	set(0x00, 0x01, immNone)
	set(0x02, 0x04, immBlock)
	t[0x05] = immElse
	t[0x0b] = immEnd
	set(0x0c, 0x0d, immLabel)
	t[0x0e] = immBrTable
	t[0x0f] = immNone
	t[0x10], t[0x12] = immFunc, immFunc
	t[0x11], t[0x13] = immIndirect, immIndirect
	set(0x1a, 0x1b, immNone)
	t[0x1c] = immSelect
	set(0x20, 0x22, immLocal)
	set(0x23, 0x24, immGlobal)
	set(0x25, 0x26, immIndex)
	set(0x28, 0x3e, immMem)
	set(0x3f, 0x40, immIndex)
	t[0x41], t[0x42], t[0x43], t[0x44] = immSigned32, immSigned64, immFixed4, immFixed8
	set(0x45, 0xc4, immNone)
	t[0xd0] = immRef
	t[0xd1] = immNone
	t[0xd2] = immFunc
	set(0xfc, 0xfe, immPrefix)
	return t
}

func simdTable() (t [simdOps]imm) {
	for op := range t {
		switch {
		case op <= 11 || op == 92 || op == 93:
			t[op] = immMem
		case op == 12 || op == 13:
			t[op] = immFixed16
		case op >= 21 && op <= 34:
			t[op] = immFixed
		case op >= 84 && op <= 91:
			t[op] = immMemLane
		default:
			t[op] = immNone
		}
	}
	return t
}

func atomicTable() (t [atomicOps]imm) {
	for op := range t {
		switch {
		case op <= 2 || op >= 0x10:
			t[op] = immMem
		case op == 3:
			t[op] = immFixed
		}
	}
	return t
}
