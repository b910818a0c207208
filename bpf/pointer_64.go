//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package bpf

import "unsafe"

// userPointer is a pointer in the kernel's 64-bit form that the garbage collector still sees.
type userPointer struct {
	ptr unsafe.Pointer
}
