package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// layout knows where the instructions of a program lie and where its jumps lead.
type layout struct {
	raw    []int64     // position of each instruction and of the end, in raw (8-byte) instructions
	target map[int]int // jump -> instruction it leads to; only jumps that hold a distance, not a symbol
	symbol map[int]int // jump that holds a symbol -> instruction; the library resolves these when it loads

	entries map[int]bool // see entered
}

// newLayout reads a program. It fails on everything that it does not know for certain.
func newLayout(insns asm.Instructions) (*layout, error) {
	l := &layout{raw: make([]int64, len(insns)+1), target: make(map[int]int), symbol: make(map[int]int)}
	symbols := make(map[string]int)
	var pos int64
	for i := range insns {
		l.raw[i] = pos
		pos += int64(insns[i].Width())
		if s := insns[i].Symbol(); s != "" {
			symbols[s] = i
		}
	}
	l.raw[len(insns)] = pos
	index := make([]int32, pos+1) // raw position -> 1 + instruction
	for i := range insns {
		index[l.raw[i]] = int32(i) + 1
	}
	for i := range insns {
		ins := &insns[i]
		if ins.IsFunctionReference() && (ins.Constant != -1 || ins.Reference() == "") {
			return nil, fmt.Errorf("%w: a function at a fixed distance at instruction %d", errCannotCount, i)
		}
		if !isJump(ins) {
			continue
		}
		if ins.OpCode.JumpOp() == asm.Ja && ins.OpCode.Source() == asm.RegSource {
			return nil, fmt.Errorf("%w: an indirect jump at instruction %d", errCannotCount, i)
		}
		if ins.Reference() != "" {
			to, ok := symbols[ins.Reference()]
			if !ok || (ins.Offset != -1 && !isLongJump(ins)) || (isLongJump(ins) && ins.Constant != -1) {
				return nil, fmt.Errorf("%w: a jump to an unknown place at instruction %d", errCannotCount, i)
			}
			l.symbol[i] = to
			continue
		}
		distance := int64(ins.Offset)
		if isLongJump(ins) {
			distance = ins.Constant
		}
		to := l.raw[i] + 1 + distance
		if to < 0 || to >= pos || index[to] == 0 {
			return nil, fmt.Errorf("%w: a jump out of the program at instruction %d", errCannotCount, i)
		}
		l.target[i] = int(index[to]) - 1
	}
	return l, nil
}

// to returns where a jump leads.
func (l *layout) to(i int) (int, bool) {
	if t, ok := l.target[i]; ok {
		return t, true
	}
	t, ok := l.symbol[i]
	return t, ok
}

// isJump reports whether an instruction may continue elsewhere in its function. Calls and exits are none.
func isJump(ins *asm.Instruction) bool {
	if !ins.OpCode.Class().IsJump() {
		return false
	}
	op := ins.OpCode.JumpOp()
	return op != asm.Call && op != asm.Exit
}

// isLongJump reports whether an instruction is a jump whose distance is its constant ("gotol").
func isLongJump(ins *asm.Instruction) bool {
	return ins.OpCode.Class() == asm.Jump32Class && ins.OpCode.JumpOp() == asm.Ja
}
