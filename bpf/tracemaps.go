package bpf

import "github.com/cilium/ebpf/asm"

// stackSlots is the number of 8-byte slots on the stack of a function.
const stackSlots = 64

// places is the set of slots of maps whose address a register may hold. Bit zero stands for anything else.
type places uint64

const anything places = 1

// traceState is what registers and stack may hold before an instruction.
type traceState struct {
	reg   [11]places
	stack [stackSlots]places
}

// join adds what comes on another way to the same instruction. It reports whether s changed.
func (s *traceState) join(o *traceState) bool {
	old := *s
	for i := range s.reg {
		s.reg[i] |= o.reg[i]
	}
	for i := range s.stack {
		s.stack[i] |= o.stack[i]
	}
	return *s != old
}

// maxTraced bounds the work on one program; it is the verifier's own limit.
const maxTraced = 1_000_000

// traceMaps follows the addresses of maps through a program and returns, for each call of an emitting helper, which maps it
// may mean. Calls that are missing may mean any.
func traceMaps(insns asm.Instructions, slots map[string]int) map[int]places {
	found := make(map[int]places)
	l, err := newLayout(insns)
	if err != nil || len(insns) > maxTraced {
		return found
	}
	leader := make(map[int]*traceState) // starts of blocks that were reached
	isLeader := make([]bool, len(insns)+1)
	var todo []int
	for i := range insns {
		if insns[i].Symbol() != "" || i == 0 {
			isLeader[i] = true
			leader[i] = new(traceState)
			for r := asm.R1; r <= asm.R5; r++ {
				leader[i].reg[r] = anything // arguments
			}
			todo = append(todo, i)
		}
		if to, ok := l.to(i); ok {
			isLeader[to], isLeader[i+1] = true, true
		}
	}
	reach := func(i int, s *traceState) {
		if i >= len(insns) {
			return
		}
		if old := leader[i]; old == nil {
			c := *s
			leader[i] = &c
		} else if !old.join(s) {
			return
		}
		todo = append(todo, i)
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s := *leader[i]
		for first := true; i < len(insns); i++ {
			if isLeader[i] && !first {
				reach(i, &s)
				break
			}
			first = false
			ins := &insns[i]
			if e, ok := emitOf(ins); ok {
				found[i] |= s.reg[e.mapArg]
			}
			s.step(ins, slots)
			if to, ok := l.to(i); ok {
				reach(to, &s)
				if ins.OpCode.JumpOp() == asm.Ja {
					break
				}
			}
			if ins.OpCode.JumpOp() == asm.Exit {
				break
			}
		}
	}
	return found
}

// step applies one instruction.
func (s *traceState) step(ins *asm.Instruction, slots map[string]int) {
	switch class := ins.OpCode.Class(); {
	case ins.IsLoadFromMap() && ins.Src == asm.PseudoMapFD:
		s.set(ins.Dst, anything)
		if slot, ok := slots[ins.Reference()]; ok && slot < 64 {
			s.set(ins.Dst, 1<<slot)
		}
	case class == asm.LdClass:
		if ins.OpCode.IsDWordLoad() {
			s.set(ins.Dst, anything)
		} else {
			s.clobber() // packet loads behave like calls
		}
	case class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Mov && ins.OpCode.Source() == asm.RegSource && ins.Offset == 0:
		s.set(ins.Dst, s.get(ins.Src))
	case class.IsALU():
		s.set(ins.Dst, anything)
	case class == asm.LdXClass:
		v := anything
		if n, ok := stackSlot(ins.Src, ins.Offset); ok && ins.OpCode.Size() == asm.DWord && ins.OpCode.Mode() == asm.MemMode {
			v = s.stack[n]
		}
		s.set(ins.Dst, v)
	case class == asm.StClass || class == asm.StXClass:
		s.store(ins, class)
	case ins.OpCode.JumpOp() == asm.Call:
		s.clobber()
		if !ins.IsBuiltinCall() {
			s.forgetStack() // the callee may have got a pointer to it
		}
	}
}

func (s *traceState) store(ins *asm.Instruction, class asm.Class) {
	v := anything
	if class == asm.StXClass && ins.OpCode.Mode() == asm.AtomicMode {
		s.set(ins.Src, anything) // with the fetch flag it is loaded
		s.set(asm.R0, anything)
	} else if class == asm.StXClass && ins.OpCode.Size() == asm.DWord {
		v = s.get(ins.Src)
	}
	if ins.Dst != asm.RFP {
		if ins.OpCode.Size() == asm.DWord {
			s.forgetStack() // it may go to the stack
		}
		return
	}
	if n, ok := stackSlot(asm.RFP, ins.Offset&^7); ok {
		if ins.Offset&7 != 0 {
			v = anything
		}
		s.stack[n] = v
	}
}

// stackSlot turns an address relative to the frame pointer into the number of a slot.
func stackSlot(base asm.Register, offset int16) (int, bool) {
	if base != asm.RFP || offset >= 0 || offset < -8*stackSlots || offset&7 != 0 {
		return 0, false
	}
	return -int(offset)/8 - 1, true
}

func (s *traceState) get(r asm.Register) places {
	if int(r) < len(s.reg) {
		return s.reg[r]
	}
	return anything
}

func (s *traceState) set(r asm.Register, v places) {
	if int(r) < len(s.reg) {
		s.reg[r] = v
	}
}

func (s *traceState) clobber() {
	s.reg[asm.R0] = anything
	for r := asm.R1; r <= asm.R5; r++ {
		s.reg[r] = 0 // cannot be read before it is set again
	}
}

func (s *traceState) forgetStack() {
	for i := range s.stack {
		s.stack[i] = anything
	}
}
