package bpf

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// lossMapName is what the hidden map is called in bpftool.
const lossMapName = "bowline_lost"

// lossCounters is the hidden array map that an object's programs count in. It is shared by the Object and by the readers of
// its rings and goes with the last of them.
type lossCounters struct {
	size int

	// mu guards the fields that follow.
	mu   sync.Mutex
	refs int
	mem  []byte    // the map's memory, read-only; nil on kernels that cannot share it
	m    *ebpf.Map // open while loading, and for as long as mem is nil
	buf  []byte
}

// newLossCounters makes the hidden map. Requires at least Linux 5.2 (addresses of map values in programs); from 5.5 reading a
// counter takes no system call.
func newLossCounters(slots int) (*lossCounters, error) {
	size := slots * counterStride
	spec := &ebpf.MapSpec{Name: lossMapName, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}
	m, err := ebpf.NewMap(spec)
	if err != nil {
		spec.Flags = 0
		if m, err = ebpf.NewMap(spec); err != nil {
			return nil, fmt.Errorf("create the map that counts lost records: %w", err)
		}
		return &lossCounters{size: size, refs: 1, m: m, buf: make([]byte, size)}, nil
	}
	page := os.Getpagesize()
	mem, err := unix.Mmap(m.FD(), 0, (size+page-1)/page*page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		mem = nil
	}
	return &lossCounters{size: size, refs: 1, m: m, mem: mem, buf: make([]byte, size)}, nil
}

// loaded gives up the map's descriptor if its memory is enough.
func (c *lossCounters) loaded() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem == nil || c.m == nil {
		return nil
	}
	m := c.m
	c.m = nil
	return m.Close()
}

// hold reports whether the counters are still there, and keeps them until release.
func (c *lossCounters) hold() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refs == 0 {
		return false
	}
	c.refs++
	return true
}

func (c *lossCounters) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refs--; c.refs != 0 {
		return nil
	}
	var err error
	if c.mem != nil {
		err = unix.Munmap(c.mem)
		c.mem = nil
	}
	if c.m != nil {
		err = c.m.Close()
		c.m = nil
	}
	return err
}

// read returns the value of a slot. The caller must hold the counters.
func (c *lossCounters) read(slot int) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem != nil {
		return atomic.LoadUint64((*uint64)(unsafe.Pointer(&c.mem[slot*counterStride])))
	}
	if c.m == nil || c.m.Lookup(uint32(0), c.buf) != nil {
		return 0
	}
	return binary.NativeEndian.Uint64(c.buf[slot*counterStride:])
}

// lossSlot tells a map where its losses are counted.
type lossSlot struct {
	counters *lossCounters // nil if nothing is counted
	slot     int
	unknown  int           // the slot of losses that could not be told apart
	why      error         // not nil if some losses are not counted
	reported atomic.Uint64 // what readers that are closed have told
}

// total is the number of records lost since the object was loaded. The caller must hold the counters.
func (l *lossSlot) total() uint64 {
	if l.counters == nil {
		return 0
	}
	return l.counters.read(l.slot) + l.counters.read(l.unknown)
}

// startReading reserves the map for one reader of this process and keeps its counters.
func (m *Map) startReading() bool {
	id := kernelMapID(m.m)
	if !readers.take(id) {
		return false
	}
	if m.loss.counters != nil && !m.loss.counters.hold() {
		readers.give(id)
		return false
	}
	m.reading.Store(id)
	return true
}

// lostNow is the number of losses that the map's reader has to tell. The map must be reserved.
func (m *Map) lostNow() uint64 { return m.loss.total() - m.loss.reported.Load() }

// stopReading ends what startReading began and returns the reader's last count.
func (m *Map) stopReading() uint64 {
	total := m.loss.total()
	n := total - m.loss.reported.Swap(total)
	if m.loss.counters != nil {
		_ = m.loss.counters.release()
	}
	readers.give(m.reading.Swap(0))
	return n
}
