//go:build 386 || arm || mipsle

package bpf

import "unsafe"

// userPointer is a pointer in the kernel's 64-bit form that the garbage collector still sees.
type userPointer struct {
	ptr unsafe.Pointer
	_   uint32
}
