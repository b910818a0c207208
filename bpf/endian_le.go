//go:build 386 || amd64 || arm || arm64 || loong64 || mipsle || mips64le || ppc64le || riscv64

package bpf

import "debug/elf"

const (
	nativeData = elf.ELFDATA2LSB
	targetName = "bpfel"
)

// sourceRegister is the source register of an instruction, from its byte of registers.
func sourceRegister(regs byte) byte { return regs >> 4 }
