package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The flags of an update, as the kernel has them.
const (
	updateNoExist = 1
	updateExist   = 2
)

// hint says what an answer of the kernel means for this map, and what to do; empty where its own word says it.
func (m *Map) hint(op mapOp, flags uint64, errno unix.Errno) string {
	writes := op == opUpdate || op == opUpdateBatch
	switch {
	case errno == unix.ENOENT && op == opUpdate && flags&updateExist != 0:
		return "BPF_EXIST changes only keys that are there; update without it to add one"
	case errno == unix.ENOENT && m.keySize == 0:
		return "it is empty"
	case errno == unix.EEXIST && m.isArray():
		return "the keys of an array are always there; update without BPF_NOEXIST"
	case errno == unix.EEXIST:
		return "the key is there, and BPF_NOEXIST only adds new ones; update without it to replace the value"
	case errno == unix.E2BIG && writes && m.keySize == 0:
		return fmt.Sprintf("it is full: %d values; pop some, or push with BPF_EXIST to lose the oldest", m.maxEntries)
	case errno == unix.E2BIG && writes && m.isArray():
		return fmt.Sprintf("the key is beyond its %d entries", m.maxEntries)
	case errno == unix.E2BIG && writes, errno == unix.ENOSPC && op == opUpdate && m.typ == ebpf.LPMTrie:
		return fmt.Sprintf("it is full: %d entries; delete some, make it larger (max_entries), or use a type that drops old ones (LRU)", m.maxEntries)
	case errno == unix.EPERM && (writes || op == opDelete || op == opDeleteBatch || op == opLookupDelete || op == opLookupDeleteBatch):
		return m.whyReadOnly()
	case errno == unix.EPERM && m.flags&unix.BPF_F_WRONLY != 0:
		return "it was made with BPF_F_WRONLY: user space can only write it"
	case errno == unix.EINVAL && op == opDelete && m.isArray():
		return "the entries of an array cannot be deleted; set it to zero"
	case errno == unix.EINVAL && op == opUpdate && flags > updateExist:
		return fmt.Sprintf("flags %#x may not be for this type; 0, BPF_NOEXIST (1) and BPF_EXIST (2) are for most", flags)
	}
	return ""
}

// whyReadOnly says why user space may not write the map.
func (m *Map) whyReadOnly() string {
	if m.flags&unix.BPF_F_RDONLY != 0 {
		return "it was made with BPF_F_RDONLY: user space can only read it"
	}
	if info, err := m.Info(); err != nil || !info.Frozen {
		return ""
	}
	if isData(m.name) {
		return "it holds constants, which are set before the object is loaded"
	}
	return "it is frozen: user space can only read it"
}

func (m *Map) isArray() bool {
	switch m.typ {
	case ebpf.Array, ebpf.PerCPUArray, ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.ArrayOfMaps:
		return true
	}
	return false
}
