package bpf

import (
	"github.com/cilium/ebpf/asm"
)

// Most programs test what bpf_ringbuf_reserve gives right behind the call, because the verifier demands it. Counting belongs there,
// on the branch of the failure: a second test would be one too many for the verifier before Linux 6.2, which does not see that a
// tested pointer is not null, follows the branch "null" with a reservation that is never given up, and refuses the program.

// check is the program's own test of a call's result.
type check struct {
	jump    int          // the conditional jump
	pointer asm.Register // what it tests
	spare   asm.Register // means nothing from the call to there
}

// findCheck looks behind a call, where no other code leads to, for the test of its result.
func (l *layout) findCheck(insns asm.Instructions, call int) (check, bool) {
	holds := map[asm.Register]bool{asm.R0: true}
	written := map[asm.Register]bool{}
	for i := call + 1; i < len(insns); i++ {
		ins := &insns[i]
		if l.entered(i) || ins.Symbol() != "" {
			return check{}, false
		}
		switch class := ins.OpCode.Class(); {
		case class.IsJump():
			op := ins.OpCode.JumpOp()
			null := class == asm.JumpClass && (op == asm.JEq || op == asm.JNE) && ins.OpCode.Source() == asm.ImmSource && ins.Constant == 0
			if !null || !holds[ins.Dst] {
				return check{}, false
			}
			for r := asm.R1; r <= asm.R5; r++ { // a call leaves nothing in these
				if !written[r] && r != ins.Dst {
					return check{jump: i, pointer: ins.Dst, spare: r}, true
				}
			}
			return check{}, false
		case class.IsALU():
			moves := class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Mov && ins.OpCode.Source() == asm.RegSource && ins.Offset == 0
			holds[ins.Dst] = moves && holds[ins.Src]
			written[ins.Dst] = true
		case class == asm.LdClass && ins.OpCode.Mode() != asm.ImmMode: // loads from packets do it through r0
			return check{}, false
		case class.IsLoad():
			holds[ins.Dst], written[ins.Dst] = false, true
		case ins.OpCode.Mode() == asm.AtomicMode: // may write to its source or to r0
			return check{}, false
		}
	}
	return check{}, false
}

// entered reports whether a jump leads to an instruction.
func (l *layout) entered(i int) bool {
	if l.entries == nil {
		l.entries = make(map[int]bool)
		for _, to := range l.target {
			l.entries[to] = true
		}
		for _, to := range l.symbol {
			l.entries[to] = true
		}
	}
	return l.entries[i]
}

// countAt is what stands in for a check: the same, and counting on the branch of the failure, where the pointer is null and its
// register can be used and set back.
//
//	if r != 0 goto next             // only if the check jumps when it is null
//	r = address of the counter
//	spare = 1
//	lock *(u64 *)(r + 0) += spare
//	r = 0
//	if r == 0 goto ...              // the check
//	next:
//
// If several maps are possible, spare holds the distance of the counter from the first one. The second result is the place of the
// check in the first.
func (c check) countAt(insns asm.Instructions, s site, fd int) (asm.Instructions, int) {
	jump := insns[c.jump]
	var add asm.Instructions
	if len(s.others) == 0 {
		add = asm.Instructions{asm.LoadMapValue(c.pointer, fd, uint32(s.slot*counterStride))}
	} else {
		add = asm.Instructions{asm.LoadMapValue(c.pointer, fd, 0), asm.Add.Reg(c.pointer, c.spare)}
	}
	add = append(add, asm.Mov.Imm(c.spare, 1), asm.AddAtomic.Mem(c.pointer, c.spare, asm.DWord, 0), asm.Mov.Imm(c.pointer, 0))
	if jump.OpCode.JumpOp() == asm.JNE {
		return append(asm.Instructions{jump}, add...), 0
	}
	over := asm.Instruction{OpCode: asm.JNE.Op(asm.ImmSource), Dst: c.pointer, Offset: int16(add.Size()/asm.InstructionSize) + 1}
	if src := jump.Source(); src != nil {
		over = over.WithSource(src)
	}
	out := append(asm.Instructions{over}, add...)
	return append(out, jump), len(out)
}

// remember is what is added after a call whose losses are counted at its check: which counter it is.
func (c check) remember(slot int) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(c.spare, int32(slot*counterStride))}
}
