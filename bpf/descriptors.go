package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// descriptorHelpers are the helpers through which a program of type syscall would use the descriptors of whoever runs it: it could
// close them, or make any call of bpf(2).
var descriptorHelpers = map[int64]string{166: "bpf_sys_bpf", 167: "bpf_btf_find_by_name_kind", 168: "bpf_sys_close"}

// checkDescriptors refuses programs of an object through which a number in the file would be taken for a descriptor of this process.
// The same rules hold for instructions that were made at run time; see resolveInsns.
func (s *Spec) checkDescriptors() error {
	for _, name := range s.order {
		for i := range s.coll.Programs[name].Instructions {
			if what := namesDescriptor(&s.coll.Programs[name].Instructions[i]); what != "" {
				return &FormatError{Reason: fmt.Sprintf("program %q, instruction %d: %s", short(name), i, what)}
			}
		}
	}
	return nil
}

// namesDescriptor says what is wrong with an instruction; empty if nothing is.
func namesDescriptor(ins *asm.Instruction) string {
	switch {
	case ins.OpCode.IsDWordLoad():
		switch ins.Src {
		case 0, asm.PseudoFunc:
		case asm.PseudoMapFD, asm.PseudoMapValue:
			if ins.Reference() == "" {
				return "a map by descriptor and not by its name"
			}
		case unix.BPF_PSEUDO_BTF_ID:
			if uint64(ins.Constant)>>32 != 0 {
				return "a variable of a kernel module by descriptor"
			}
		default:
			return fmt.Sprintf("a 64-bit constant of kind %d, which only the kernel's own loaders may use", ins.Src)
		}
	case ins.IsKfuncCall():
		if ins.Offset != 0 {
			return "a kernel function of a module by descriptor"
		}
	case ins.IsBuiltinCall():
		if helper := descriptorHelpers[ins.Constant&0xffffffff]; helper != "" {
			return helper + ", which only the kernel's own loaders may call"
		}
	}
	return ""
}
