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

// What gives the memory of a map, and the place of a program, back is not that the guest closes it, but that the kernel frees it: a
// program, a map, a link, a reader or a pin may hold it after that.

// closed is a map, program or link that the guest has closed and that something else may hold.
type closed struct {
	kind  bpf.IDKind
	id    uint32
	bytes uint64 // of a map
	at    time.Time
}

// release must be called with mu held.
func (b *Budget) release(c closed) {
	switch c.kind {
	case bpf.IDMap:
		b.memory += c.bytes
	case bpf.IDProgram:
		b.used[programs]--
	case bpf.IDLink:
		b.used[links]--
	}
}

// withRoom calls f with what a new map or object may take, and takes what f says that it took. If there is too little, it tries once
// more when the kernel has freed something: programs, and the maps that they hold, go a moment after they were closed.
func (b *Budget) withRoom(f func(limit uint64) (took uint64, err error)) error {
	b.room.Lock()
	defer b.room.Unlock()
	try := func() error {
		limit := b.reap()
		if limit == 0 {
			return fmt.Errorf("the plugin's maps take all the kernel memory that they may: %w: %w", bpf.ErrMapMemory, unix.ENOMEM)
		}
		took, err := f(limit)
		if err == nil {
			b.takeMemory(took)
		}
		return err
	}
	err := try()
	if errors.Is(err, bpf.ErrMapMemory) && b.settle(bpf.IDMap) {
		err = try()
	}
	if errors.Is(err, bpf.ErrMapMemory) {
		return &memoryError{err}
	}
	return err
}

// memoryError adds to the end of map memory how an operator raises it.
type memoryError struct{ error }

func (e *memoryError) Error() string { return e.error.Error() + "; " + raise("map-memory", "SIZE") }

func (e *memoryError) Unwrap() error { return e.error }

func (e *memoryError) Is(target error) bool { return target == ErrLimit }

// takeMemory notes what a map was charged.
func (b *Budget) takeMemory(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory -= min(b.memory, bytes)
}

func (b *Budget) giveMemory(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory += bytes
}

// settleTime is how long the kernel may take to free what was closed: tens of milliseconds on a quiet machine.
const settleTime = 300 * time.Millisecond

// settle waits a moment for the kernel to free something of a kind that was closed just now. What has been there for longer is held by
// something that lasts, and is not waited for.
func (b *Budget) settle(kind bpf.IDKind) bool {
	before, _ := b.waiting(kind)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		b.reap()
		now, young := b.waiting(kind)
		if now < before || !young {
			return now < before
		}
		<-tick.C
	}
}

// waiting answers how many of a kind are closed and not freed, and whether one was closed just now.
func (b *Budget) waiting(kind bpf.IDKind) (n int, young bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.closed {
		if c.kind == kind {
			n++
			young = young || time.Since(c.at) < settleTime
		}
	}
	return n, young
}

// keep notes that from now on maps and programs may outlive their handles.
func (b *Budget) keep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = true
}

// giveBack closes maps and programs by end and gives what they were charged back, at once or when the kernel has freed them.
func (b *Budget) giveBack(memory uint64, maps []*bpf.Map, progs []*bpf.Program, end func() error) error {
	var list []closed
	for _, m := range maps {
		if info, err := m.Info(); err == nil && info.ID != 0 && m.Memory() != 0 {
			list = append(list, closed{kind: bpf.IDMap, id: info.ID, bytes: m.Memory()})
			memory -= min(memory, m.Memory())
		}
	}
	for _, p := range progs {
		list = append(list, closed{kind: bpf.IDProgram, id: programID(p)})
	}
	err := end()
	b.mu.Lock()
	b.memory += memory
	b.mu.Unlock()
	b.later(list)
	b.reap()
	return err
}

// programID is zero when the kernel does not tell.
func programID(p *bpf.Program) uint32 {
	info, err := p.Info()
	if err != nil {
		return 0
	}
	return info.ID
}

// later releases what was closed: when the kernel has freed it, or at once if nothing can hold it.
func (b *Budget) later(list []closed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range list {
		if b.kept && c.id != 0 {
			c.at = time.Now()
			b.closed = append(b.closed, c)
		} else {
			b.release(c)
		}
	}
}

// reap releases what was closed and the kernel has freed, and answers what is left of the memory. A host that may not look
// (CAP_SYS_ADMIN) leaves it charged until the plugin ends.
func (b *Budget) reap() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	still := b.closed[:0]
	for _, c := range b.closed {
		if there, err := bpf.Exists(c.kind, c.id); there || err != nil {
			still = append(still, c)
		} else {
			b.release(c)
		}
	}
	b.closed = still
	return b.memory
}

// defaultPerfBytes is what package bpf takes for each CPU.
const defaultPerfBytes = 256 << 10

// perfMemory is what the buffers of a perf array take, of the memory of maps. It is taken from the budget.
func (s *Session) perfMemory(m *Map, size uint32) (uint64, error) {
	if m.Type() != ebpf.PerfEventArray {
		return 0, nil
	}
	cpus, err := readCPUs(m)
	if err != nil {
		return 0, err
	}
	each := uint64(1) << bits.Len32(cmp.Or(size, defaultPerfBytes)-1)
	need := max(each, uint64(os.Getpagesize())) * uint64(cpus)
	err = s.budget.withRoom(func(limit uint64) (uint64, error) {
		if need > limit {
			return 0, fmt.Errorf("%w: its buffers take %d KiB of kernel memory, and %d KiB are left: %w", bpf.ErrMapMemory, need>>10, limit>>10, unix.ENOMEM)
		}
		return need, nil
	})
	if err != nil {
		return 0, fmt.Errorf("read perf array %s: %w", m.Name(), err)
	}
	return need, nil
}

// readCPUs is how many buffers a perf array is read through.
func readCPUs(m *Map) (int, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("count the possible CPUs: %w", err)
	}
	return min(cpus, int(m.MaxEntries())), nil
}
