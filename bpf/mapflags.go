package bpf

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// Flags of maps that package unix does not have.
const (
	flagValueTypeFD = 1 << 15 // BPF_F_VTYPE_BTF_OBJ_FD, Linux 6.9
	flagTokenFD     = 1 << 16 // BPF_F_TOKEN_FD, Linux 6.9
	flagSegvOnFault = 1 << 17 // BPF_F_SEGV_ON_FAULT, Linux 6.9
	flagNoUserConv  = 1 << 18 // BPF_F_NO_USER_CONV, Linux 6.9
)

// mapFlags are the flags that a map may be made with. It is a list of what is allowed, because with some flags the kernel takes other
// numbers of the call for descriptors of this process, and newer kernels may have more of those.
const mapFlags = unix.BPF_F_NO_PREALLOC | unix.BPF_F_NO_COMMON_LRU | unix.BPF_F_NUMA_NODE | unix.BPF_F_RDONLY | unix.BPF_F_WRONLY |
	unix.BPF_F_STACK_BUILD_ID | unix.BPF_F_ZERO_SEED | unix.BPF_F_RDONLY_PROG | unix.BPF_F_WRONLY_PROG | unix.BPF_F_CLONE |
	unix.BPF_F_MMAPABLE | unix.BPF_F_PRESERVE_ELEMS | unix.BPF_F_INNER_MAP | unix.BPF_F_LINK | flagSegvOnFault | flagNoUserConv | ringOverwrite

// descriptorFlags are those that make the kernel read descriptors.
var descriptorFlags = map[uint32]string{
	unix.BPF_F_PATH_FD: "BPF_F_PATH_FD", flagValueTypeFD: "BPF_F_VTYPE_BTF_OBJ_FD", flagTokenFD: "BPF_F_TOKEN_FD",
}

// checkMapFlags refuses flags that are not on the list, whichever way the map is made.
func checkMapFlags(name string, flags uint32) error {
	bad := flags &^ mapFlags
	if bad == 0 {
		return nil
	}
	bad = 1 << (bits.Len32(bad) - 1)
	if what := descriptorFlags[bad]; what != "" {
		return fmt.Errorf("map %s: %w: flag %s, with which the kernel takes a number for a file descriptor: %w", short(name), ErrType, what, unix.EINVAL)
	}
	return fmt.Errorf("map %s: %w: flag %#x, which is not known here: %w", short(name), ErrType, bad, unix.EINVAL)
}
