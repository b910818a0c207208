package bpf

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrMapMemory is matched by the error of a Load whose maps need more than [LoadOptions].MapMemory, and by that of a [CreateMap]
// whose map needs more than [MapOptions].MapMemory. It unwraps to ENOMEM.
var ErrMapMemory = errors.New("map memory limit")

// hashOverhead is about what the kernel needs for an element of a hash beside key and value: struct htab_elem and its bucket.
const hashOverhead = 64

// storageOwners is for how many sockets, tasks, files or cgroups storage is charged. It has no capacity of its own.
const storageOwners = 1024

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
	case ebpf.SkStorage, ebpf.InodeStorage, ebpf.TaskStorage, ebpf.CgroupStorage, ebpf.CGroupStorage, ebpf.PerCPUCGroupStorage:
		return storageOwners * (value + hashOverhead)
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
	need, err := checkMemory(name, spec, 0)
	if err != nil {
		return err
	}
	var template uint64 // what a map of maps holds is made, too, for as long as the kernel looks at it
	if spec.InnerMap != nil {
		if template, err = checkMemory(name+" (inner)", spec.InnerMap, 0); err != nil {
			return err
		}
	}
	if l.opts.MapMemory == 0 {
		return nil
	}
	left := l.opts.MapMemory - l.charged
	if need > left {
		return memoryError(name, need, left, l.opts.MapMemory)
	}
	if template > left-need {
		return memoryError(name+", a map like those that it holds", template, left-need, l.opts.MapMemory)
	}
	l.charged += need
	l.charges[name] = need
	return nil
}

func memoryError(name string, need, left, limit uint64) error {
	return fmt.Errorf("create map %s: %w: it needs about %d KiB of kernel memory, and %d of %d KiB are left; make the map smaller, or allow more: %w",
		name, ErrMapMemory, need>>10, left>>10, limit>>10, unix.ENOMEM)
}
