package bpf

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// insnSize is the size of struct bpf_insn: opcode, two registers, an offset of 16 bits and a constant of 32.
const insnSize = 8

// maxRawInsns is what the kernel's verifier takes at most.
const maxRawInsns = 1_000_000

// Opcodes that may refer to something outside of the program.
const (
	opLoadImm64 = unix.BPF_LD | unix.BPF_IMM | unix.BPF_DW
	opCallImm   = unix.BPF_JMP | unix.BPF_CALL
)

// resolveInsns returns a copy of instructions in which the numbers of maps are replaced by descriptors. It goes through them as the
// kernel does, so that it sees every instruction that the kernel sees, and refuses all through which a number of the program could
// be taken for a descriptor of this process. Unknown instructions are left to the verifier.
func resolveInsns(code []byte, resolve func(handle int32) (fd uint32, err error)) ([]byte, error) {
	switch {
	case len(code) == 0:
		return nil, &FormatError{Reason: "no instructions"}
	case len(code)%insnSize != 0:
		return nil, &FormatError{Reason: fmt.Sprintf("%d bytes of instructions, which are of %d bytes each", len(code), insnSize)}
	case len(code) > maxRawInsns*insnSize:
		return nil, &FormatError{Reason: fmt.Sprintf("more than %d instructions", maxRawInsns)}
	}
	out := make([]byte, len(code))
	copy(out, code)
	for at := 0; at < len(out); at += insnSize {
		ins := out[at : at+insnSize]
		switch ins[0] {
		case opLoadImm64:
			if at+2*insnSize > len(out) {
				return nil, insnError(at, "the second half of a 64-bit constant is missing")
			}
			if err := resolveLoad(at, ins, out[at+insnSize:at+2*insnSize], resolve); err != nil {
				return nil, err
			}
			at += insnSize
		case opCallImm:
			if err := checkCall(at, ins); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// resolveLoad looks at a load of a 64-bit constant, which takes two instructions.
func resolveLoad(at int, ins, second []byte, resolve func(int32) (uint32, error)) error {
	if second[0] != 0 || second[1] != 0 || second[2] != 0 || second[3] != 0 {
		return insnError(at+insnSize, "the second half of a 64-bit constant has more than a number")
	}
	switch src := sourceRegister(ins[1]); src {
	case 0, unix.BPF_PSEUDO_FUNC: // a number; a distance in the program
		return nil
	case unix.BPF_PSEUDO_MAP_FD, unix.BPF_PSEUDO_MAP_VALUE:
		fd, err := resolve(int32(binary.NativeEndian.Uint32(ins[4:])))
		if err != nil {
			return fmt.Errorf("instruction %d: %w", at/insnSize, err)
		}
		binary.NativeEndian.PutUint32(ins[4:], fd)
		return nil
	case unix.BPF_PSEUDO_BTF_ID:
		if binary.NativeEndian.Uint32(second[4:]) != 0 { // the descriptor of a module's types
			return insnError(at, "a variable of a kernel module cannot be addressed by descriptor")
		}
		return nil
	case unix.BPF_PSEUDO_MAP_IDX, unix.BPF_PSEUDO_MAP_IDX_VALUE:
		return insnError(at, "a map by its index in an array of descriptors; give the map's handle with BPF_PSEUDO_MAP_FD or BPF_PSEUDO_MAP_VALUE")
	default:
		return insnError(at, fmt.Sprintf("a 64-bit constant of the unknown kind %d", src))
	}
}

// checkCall looks at a call.
func checkCall(at int, ins []byte) error {
	switch src := sourceRegister(ins[1]); src {
	case 0: // a helper
		if helper := descriptorHelpers[int64(binary.NativeEndian.Uint32(ins[4:]))]; helper != "" {
			return insnError(at, helper+", which only the kernel's own loaders may call")
		}
		return nil
	case unix.BPF_PSEUDO_CALL: // a distance in the program
		return nil
	case unix.BPF_PSEUDO_KFUNC_CALL:
		if binary.NativeEndian.Uint16(ins[2:]) != 0 { // an index in an array of descriptors
			return insnError(at, "a kernel function of a module cannot be called by descriptor")
		}
		return nil
	default:
		return insnError(at, fmt.Sprintf("a call of the unknown kind %d", src))
	}
}

func insnError(at int, what string) error {
	return &FormatError{Reason: fmt.Sprintf("instruction %d: %s", at/insnSize, what)}
}
