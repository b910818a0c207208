package session

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
)

// The budget of kernel memory. A map is charged when it is made. What gives its memory back is not that the guest closes it, but
// that the kernel frees it: a program, a map of maps, a reader or a pin may hold it after that.

// closedMap is a map that the guest has closed and that something else may hold.
type closedMap struct {
	id    ebpf.MapID
	bytes uint64
}

// withRoom calls f with what a new map or object may take. If that is too little, it tries once more when the kernel has freed
// something: programs, and the maps that they hold, go a moment after they were closed.
func (s *Session) withRoom(f func(limit uint64) error) error {
	try := func() error {
		if s.reap(); s.memory == 0 {
			return fmt.Errorf("the plugin's maps take all the kernel memory that they may: %w", bpf.ErrMapMemory)
		}
		return f(s.memory)
	}
	err := try()
	if !errors.Is(err, bpf.ErrMapMemory) || !s.settle() {
		return err
	}
	return try()
}

// settleTicks of 2 ms are how long the kernel may take to free a program that was closed: tens of milliseconds on a quiet machine.
const settleTicks = 150

// settle waits a moment for the kernel to free a map.
func (s *Session) settle() bool {
	before := len(s.closed)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < settleTicks && len(s.closed) > 0 && len(s.closed) == before; n++ {
		<-tick.C
		s.reap()
	}
	return len(s.closed) < before
}

// keep notes that from now on maps may outlive their handles.
func (s *Session) keep() { s.kept = true }

// giveBack closes maps by end and gives what they were charged back, at once or when the kernel has freed them.
func (s *Session) giveBack(charged uint64, maps []*bpf.Map, end func() error) error {
	if !s.kept || charged == 0 {
		s.memory += charged
		return end()
	}
	var closed []closedMap
	for _, m := range maps {
		info, err := m.Info()
		if err != nil || info.ID == 0 || m.Memory() == 0 {
			continue
		}
		closed = append(closed, closedMap{ebpf.MapID(info.ID), m.Memory()})
		charged -= min(charged, m.Memory())
	}
	s.memory += charged
	err := end()
	s.closed = append(s.closed, closed...)
	s.reap()
	return err
}

// reap gives the memory of closed maps back that the kernel has freed. A host that may not look (CAP_SYS_ADMIN) leaves them charged
// until the instance ends.
func (s *Session) reap() {
	still := s.closed[:0]
	for _, m := range s.closed {
		next, err := ebpf.MapGetNextID(m.id - 1) // looks without opening, which would keep the map
		if gone := err == nil && next != m.id || errors.Is(err, os.ErrNotExist); gone {
			s.memory += m.bytes
			continue
		}
		still = append(still, m)
	}
	s.closed = still
}

// chargeHost takes memory of this process from the budget.
func (s *Session) chargeHost(bytes uint64) error {
	if left := s.opts.HostMemory - s.host; bytes > left {
		return fmt.Errorf("%w: it takes %d KiB of the host's memory, and %d KiB are left; close some", errHostMemory, bytes>>10, left>>10)
	}
	s.host += bytes
	return nil
}

// errHostMemory is the end of [Options].HostMemory.
var errHostMemory = fmt.Errorf("out of memory for objects and logs: %w", unix.ENOMEM)

// defaultPerfBytes is what package bpf takes for each CPU.
const defaultPerfBytes = 256 << 10

// chargePerf takes the buffers of a perf array from the budget.
func (s *Session) chargePerf(m *Map, o SourceOptions) (uint64, error) {
	if m.Type() != ebpf.PerfEventArray {
		return 0, nil
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("count the possible CPUs: %w", err)
	}
	each := uint64(1) << bits.Len32(cmp.Or(o.BufferSize, defaultPerfBytes)-1)
	need := max(each, uint64(os.Getpagesize())) * uint64(min(cpus, int(m.MaxEntries())))
	err = s.withRoom(func(limit uint64) error {
		if need > limit {
			return fmt.Errorf("%w: its buffers take %d KiB of kernel memory, and %d KiB are left", bpf.ErrMapMemory, need>>10, limit>>10)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read perf array %s: %w", m.Name(), err)
	}
	s.memory -= need
	return need, nil
}
