//go:build mips

package bpf

import "unsafe"

// userPointer is a pointer in the kernel's 64-bit form that the garbage collector still sees.
type userPointer struct {
	_   uint32
	ptr unsafe.Pointer
}
