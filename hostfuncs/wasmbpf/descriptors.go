package wasmbpf

import (
	"encoding/binary"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// resolve looks at the keys and values that the kernel takes as file descriptors
// of the host. A guest has handles: a map of maps takes the handle of a map of
// this instance, which is replaced by the descriptor in a copy of the value. The
// interface has no handles for programs, cgroups, sockets, processes and files, so
// that nothing of that kind can be meant, and a number would be somebody else's.
//
// EBADFD: a value that is no handle of a map. EOPNOTSUPP: a key or value that this
// interface cannot name.
func (s *instance) resolve(h *mapHandle, cmd uint32, value []byte) ([]byte, unix.Errno) {
	m := h.m
	switch m.Type() {
	case ebpf.InodeStorage, ebpf.TaskStorage, ebpf.SkStorage, ebpf.CgroupStorage:
		return nil, unix.EOPNOTSUPP // the key is a descriptor, whatever the command
	}
	if cmd != cmdUpdate {
		return value, 0
	}
	switch m.Type() {
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		inner, ok := s.maps.Get(int32(binary.LittleEndian.Uint32(value)))
		if !ok {
			return nil, unix.EBADFD
		}
		return binary.NativeEndian.AppendUint32(nil, uint32(inner.m.FD())), 0
	case ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.XSKMap, ebpf.SockMap, ebpf.SockHash, ebpf.ReusePortSockArray:
		return nil, unix.EOPNOTSUPP
	case ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap:
		// struct bpf_devmap_val and bpf_cpumap_val: a program's descriptor, if
		// positive, behind the first four bytes.
		if len(value) >= 8 && int32(binary.NativeEndian.Uint32(value[4:])) > 0 {
			return nil, unix.EOPNOTSUPP
		}
	}
	return value, 0
}

// takesDescriptors tells which maps [instance.resolve] has to look at.
func takesDescriptors(t ebpf.MapType) bool {
	switch t {
	case ebpf.InodeStorage, ebpf.TaskStorage, ebpf.SkStorage, ebpf.CgroupStorage, ebpf.ArrayOfMaps, ebpf.HashOfMaps,
		ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.XSKMap, ebpf.SockMap, ebpf.SockHash,
		ebpf.ReusePortSockArray, ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap:
		return true
	}
	return false
}
