package bpf

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// bpfCall is bpf(2), for what cilium/ebpf does not wrap or wraps with more calls than one. attr must point to a struct whose
// pointers are [userPointer]s, so that the garbage collector sees them until the call is over.
func bpfCall(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// objectInfo asks the kernel what it knows of a program, a link or a map. What the kernel does not know of info stays as it is.
func objectInfo(fd int, info unsafe.Pointer, size uintptr) error {
	attr := struct {
		fd, size uint32
		info     userPointer
	}{fd: uint32(fd), size: uint32(size), info: userPointer{ptr: info}}
	_, err := bpfCall(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

// cText is the text in a buffer that ends with a zero byte.
func cText(b []byte) string { return unix.ByteSliceToString(b) }
