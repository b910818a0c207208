package wazero

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

const (
	pageSize = 1 << 16
	// defaultLimit is 4 GiB less one page, so that every size fits an i32: wazero traps on
	// every access to a memory of 4 GiB.
	defaultLimit = 1<<32 - pageSize
	// limit32 is how much address space a memory may take on a 32-bit host.
	limit32 = 512 << 20
)

// memory is one linear memory: address space reserved once and made accessible
// as the memory grows, so that its base never moves. It is both the allocator
// that wazero asks and the memory that it gets.
type memory struct {
	asked  uint64 // the limit as it was given, or what the host has for it
	limit  uint64 // bytes that the guest may have at most, whole pages
	max    uint64 // bytes that the module may ever ask for
	region []byte // the reservation, accessible in its first len(view) bytes
	view   []byte
}

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

// memoryError is what the allocator panics with, because wazero gives it no
// other way to refuse the initial memory. Instantiate recovers it.
type memoryError struct{ err error }

func newMemory(limit uint64) *memory {
	if limit == 0 || limit > defaultLimit {
		limit = defaultLimit
	}
	if math.MaxInt == math.MaxInt32 {
		limit = min(limit, limit32)
	}
	return &memory{asked: limit, limit: limit &^ (pageSize - 1)}
}

// Allocate is called once, before the first Reallocate.
func (m *memory) Allocate(_, max uint64) experimental.LinearMemory {
	m.max = max
	return m
}

// Reallocate makes size bytes accessible; nil makes memory.grow answer -1.
func (m *memory) Reallocate(size uint64) []byte {
	if m.view == nil {
		if err := m.reserve(size); err != nil {
			panic(memoryError{err})
		}
	}
	if size > uint64(len(m.region)) {
		return nil
	}
	if old := uint64(len(m.view)); size > old {
		if err := unix.Mprotect(m.region[old:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			if old == 0 {
				panic(memoryError{fmt.Errorf("get %d bytes for the linear memory: %w", size, err)})
			}
			return nil
		}
	}
	m.view = m.region[:size:size]
	return m.view
}

// reserve takes address space up to the limit, or as much as there is.
func (m *memory) reserve(initial uint64) error {
	if initial > m.limit {
		return &engine.MemoryError{Need: initial, Limit: m.asked}
	}
	size := min(m.max, m.limit)
	if size == 0 {
		m.region, m.view = []byte{}, []byte{}
		return nil
	}
	for {
		p, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		if err == nil {
			m.region = unsafe.Slice((*byte)(p), int(size))
			m.view = m.region[:0]
			return nil
		}
		if size <= max(initial, pageSize) {
			return fmt.Errorf("reserve %d bytes of address space for the linear memory: %w", size, err)
		}
		size = max(size/2&^(pageSize-1), initial, pageSize)
	}
}

// Free does nothing: wazero calls it at proc_exit, when host functions further
// out on the stack may still hold views. See release.
func (m *memory) Free() {}

// release gives everything back. No guest code and no view may be in use.
func (m *memory) release() error {
	region := m.region
	m.region, m.view = nil, nil
	if len(region) == 0 {
		return nil
	}
	if err := unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(region)), uintptr(len(region))); err != nil {
		return fmt.Errorf("unmap the linear memory: %w", err)
	}
	return nil
}
