package wasmbpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
)

// refused says why an operation that the session knows is not in this interface: the plain access to a per-CPU map, because the
// interface has no length for the value; and keys and values that the kernel takes as descriptors, because it has handles of maps
// only, so that nothing else can be meant and a number would be somebody else's. A program beside the number of a device or a CPU
// cannot be named either. Zero means that it is not refused.
func (s *instance) refused(m *session.Map, cmd uint32, flags uint64) unix.Errno {
	switch m.Type() {
	case ebpf.InodeStorage, ebpf.TaskStorage, ebpf.SkStorage, ebpf.CgroupStorage:
		return unix.EOPNOTSUPP // the key is a descriptor, whatever the command
	case ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.XSKMap, ebpf.SockMap, ebpf.SockHash, ebpf.ReusePortSockArray:
		if cmd == cmdUpdate {
			return unix.EOPNOTSUPP
		}
	}
	if !m.PerCPU() || cmd == cmdLookup && uint32(flags) == session.FlagCPU || cmd == cmdUpdate && flags&^3 == session.FlagAllCPUs ||
		cmd != cmdLookup && cmd != cmdUpdate {
		return 0
	}
	s.env.Report("access map "+m.Name(), fmt.Errorf(
		"a %s map has a value for every CPU; look one up with flags cpu<<32 | 8, or set all with flags 16: %w", m.Type(), unix.EOPNOTSUPP))
	return unix.EOPNOTSUPP
}

// namesProgram reports whether the value of a device or CPU map has a program beside the number.
func namesProgram(m *session.Map, value []byte) bool {
	switch m.Type() {
	case ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap:
		return len(value) >= 8 && binary.NativeEndian.Uint32(value[4:]) != 0
	}
	return false
}
