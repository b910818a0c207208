//go:build mips || mips64 || ppc64 || s390x

package bpf

import "debug/elf"

const (
	nativeData = elf.ELFDATA2MSB
	targetName = "bpfeb"
)
