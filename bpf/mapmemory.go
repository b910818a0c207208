package bpf

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrMapMemory is matched by the error of a Load whose maps need more than [LoadOptions].MapMemory. It unwraps to ENOMEM.
var ErrMapMemory = errors.New("map memory limit")

// hashOverhead is about what the kernel needs for an element of a hash beside key and value: struct htab_elem and its bucket.
const hashOverhead = 64

// mapMemory estimates what the kernel allocates for a map in bytes, at its fullest: sizes are rounded up to 8 as the kernel does,
// and counted for each possible CPU where there are values for each. It never overflows: too much is the largest number.
func mapMemory(spec *ebpf.MapSpec, cpus int) uint64 {
	value := (uint64(spec.ValueSize) + 7) &^ 7
	if perCPU(spec.Type) {
		value = times(value, uint64(cpus))
	}
	key := (uint64(spec.KeySize) + 7) &^ 7
	switch spec.Type {
	case ebpf.RingBuf, ebpf.UserRingbuf:
		return uint64(spec.MaxEntries)
	case ebpf.Arena:
		return times(uint64(spec.MaxEntries), 4096)
	case ebpf.Array, ebpf.PerCPUArray, ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.ArrayOfMaps, ebpf.Queue,
		ebpf.Stack, ebpf.DevMap, ebpf.CPUMap, ebpf.XSKMap, ebpf.SockMap, ebpf.ReusePortSockArray:
		return times(uint64(spec.MaxEntries), max(value, 8))
	}
	return times(uint64(spec.MaxEntries), key+value+hashOverhead)
}

// times multiplies, at most to the largest number.
func times(a, b uint64) uint64 {
	if hi, lo := bits.Mul64(a, b); hi == 0 {
		return lo
	}
	return math.MaxUint64
}

// charge takes a map's memory from what the load may use.
func (l *loader) charge(name string, spec *ebpf.MapSpec) error {
	if spec.MaxEntries > math.MaxInt32 {
		// Kernels up to 6.18 at least walk per-CPU arrays with a signed index, and crash here.
		return fmt.Errorf("create map %s: max_entries %d is more than the kernel can take: %w", name, spec.MaxEntries, unix.E2BIG)
	}
	if l.opts.MapMemory == 0 {
		return nil
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("create map %s: count the possible CPUs: %w", name, err)
	}
	need := mapMemory(spec, cpus)
	if need > l.opts.MapMemory-l.charged {
		return fmt.Errorf("create map %s: %w: it needs about %d KiB of kernel memory, and %d of %d KiB are left; raise the limit or make the map smaller: %w",
			name, ErrMapMemory, need>>10, (l.opts.MapMemory-l.charged)>>10, l.opts.MapMemory>>10, unix.ENOMEM)
	}
	l.charged += need
	return nil
}
