package wasmbpf

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs"
)

// The flags of a per-CPU access, as Linux 6.19 defines them: the CPU's number
// goes into the upper 32 bits.
const (
	flagCPU     = 8
	flagAllCPUs = 16
)

// perCPU looks up or updates one entry of a per-CPU map. The interface has no
// length for the value, and a guest cannot know how many CPUs there are, so the
// plain call, with which the kernel moves a value for every possible CPU, would
// write past the guest's buffer. Instead a value of the map's own size moves:
// of one CPU when flags are cpu<<32 | 8 (lookup), or to all CPUs when they hold
// 16 (update); the lower two bits stay the kernel's update flags.
//
// EOPNOTSUPP: other flags. ERANGE: no such CPU. EFAULT: a value outside memory.
func (s *instance) perCPU(h *mapHandle, cmd uint32, mem, key []byte, ptr, flags uint64) uint64 {
	m := h.m
	one := m.CPUValueSize()
	value, ok := field(mem, ptr, one)
	if !ok {
		return fail(unix.EFAULT)
	}
	all := make([]byte, m.ValueSize())
	stride := (one + 7) &^ 7
	switch {
	case cmd == cmdLookup && uint32(flags) == flagCPU:
		cpu := int(flags >> 32)
		if cpu >= len(all)/stride {
			return fail(unix.ERANGE)
		}
		if err := m.LookupInto(key, all, 0); err != nil {
			return fail(hostfuncs.Errno(err))
		}
		copy(value, all[cpu*stride:])
		return 0
	case cmd == cmdUpdate && flags&^3 == flagAllCPUs:
		for at := 0; at < len(all); at += stride {
			copy(all[at:], value)
		}
		return fail(hostfuncs.Errno(m.Update(key, all, flags&3)))
	}
	s.env.Report("access map "+m.Name(), fmt.Errorf(
		"a %s map has a value for every CPU; look one up with flags cpu<<32 | 8, or set all with flags 16: %w", m.Type(), unix.EOPNOTSUPP))
	return fail(unix.EOPNOTSUPP)
}
