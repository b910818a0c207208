package bpf

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cilium/ebpf/asm"
)

// Describe says what LoadProgram would load, as [Spec.Programs] does for objects: type, hook, place, and the helpers that the
// instructions call. It looks at every instruction, also at those that are never reached. Maps are numbers here, and not listed.
func (o *ProgramOptions) Describe() (ProgramSpec, error) {
	spec, err := o.spec()
	if err != nil {
		return ProgramSpec{}, err
	}
	hook, to := hookOf(spec)
	out := ProgramSpec{
		Name: spec.Name, Section: spec.SectionName, Type: spec.Type, Hook: hook, AttachTo: to, License: spec.License,
		Insns: len(o.Insns) / asm.InstructionSize, NeedsBTF: namesKernelType(spec),
	}
	helpers := map[string]bool{}
	for code := o.Insns; len(code) >= asm.InstructionSize; code = code[asm.InstructionSize:] {
		if code[0] == byte(asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call)) && sourceRegister(code[1]) == 0 { // 1 is a function of its own
			helpers[helperName(asm.BuiltinFunc(binary.NativeEndian.Uint32(code[4:])))] = true
		}
	}
	out.Helpers = slices.Sorted(maps.Keys(helpers))
	return out, nil
}
