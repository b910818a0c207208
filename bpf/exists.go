package bpf

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IDKind is what a number of the kernel's is of.
type IDKind string

// The kinds of numbers.
const (
	IDMap     IDKind = "map"
	IDProgram IDKind = "program"
	IDLink    IDKind = "link"
)

// Exists reports whether the kernel has a map, program or link with a number. It does not open it, which would keep it. Requires
// CAP_SYS_ADMIN and at least Linux 4.13 (5.8 for links).
func Exists(kind IDKind, id uint32) (bool, error) {
	if id == 0 {
		return false, nil
	}
	cmd := map[IDKind]uintptr{IDMap: unix.BPF_MAP_GET_NEXT_ID, IDProgram: unix.BPF_PROG_GET_NEXT_ID, IDLink: unix.BPF_LINK_GET_NEXT_ID}[kind]
	attr := struct{ start, next, flags uint32 }{start: id - 1}
	_, err := bpfCall(cmd, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for %s %d: %w", kind, id, err)
	}
	return attr.next == id, nil
}
