//go:build mips || mips64 || ppc64 || s390x

package bpf

import "debug/elf"

const (
	nativeData = elf.ELFDATA2MSB
	targetName = "bpfeb"
)

// sourceRegister is the source register of an instruction, from its byte of registers.
func sourceRegister(regs byte) byte { return regs & 0xf }
