package bpf

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Map is a map in the kernel. One of a loaded [Object] is owned by it: after the Object is closed, every operation returns an error
// that matches [os.ErrClosed]. One that was made by [CreateMap] or opened by itself is owned by the caller; see [Map.Close]. All
// methods may be used from several goroutines at once, also while the map is being closed.
//
// Each operation is one bpf(2) system call and allocates nothing. Keys and values may lie anywhere in memory, also outside the
// Go heap; their lengths must be exactly [Map.KeySize] and [Map.ValueSize], else the error matches [ErrSize] and the kernel
// is not asked. Errors of the kernel are [MapError] and unwrap to a [unix.Errno].
type Map struct {
	obj        *Object // nil for a map that owns itself
	name       string
	m          *ebpf.Map
	typ        ebpf.MapType
	flags      uint32
	maxEntries uint32
	keySize    int
	valueSize  int // of one entry as user space sees it
	fd         uint32
	brief      bool // operations never wait, so the Go scheduler need not know of them
	use        useCount
	memory     uint64               // charged, in bytes
	unbatched  [opCount]atomic.Bool // batches that the kernel does not have for this type
	before     func() error         // runs before the descriptor is closed; nil if there is nothing
	miss       [opCount]MapError    // answers for a missing key, made once

	loss    lossSlot      // where lost records of this map are counted
	reading atomic.Uint64 // the number in readers while a Ring or a Perf is open on this map
}

// Name returns the map's name in the object.
func (m *Map) Name() string { return m.name }

// Type returns the kernel's map type.
func (m *Map) Type() ebpf.MapType { return m.typ }

// Flags returns the flags that the map was created with.
func (m *Map) Flags() uint32 { return m.flags }

// KeySize returns the length of a key in bytes; zero for queues, stacks and Bloom filters.
func (m *Map) KeySize() int { return m.keySize }

// ValueSize returns the number of bytes that user space reads and writes per entry. For per-CPU maps that is the size of one
// CPU's value, padded to 8 bytes, times the number of possible CPUs.
func (m *Map) ValueSize() int { return m.valueSize }

// MaxEntries returns the capacity in entries; for a ring buffer, in bytes.
func (m *Map) MaxEntries() uint32 { return m.maxEntries }

// FD returns the map's file descriptor, -1 after the map was closed. The Map or its Object keeps owning it.
func (m *Map) FD() int {
	if m.use.closed() {
		return -1
	}
	return int(m.fd)
}

// Object returns the object that the map belongs to, nil if it belongs to none.
func (m *Map) Object() *Object { return m.obj }

// Kernel returns the map as cilium/ebpf's type, for what this package does not wrap. Do not close it.
func (m *Map) Kernel() *ebpf.Map { return m.m }

// Counted returns nil if every record that the kernel could not store in this ring buffer or perf array is counted, else an
// error that matches [ErrNotCounted] and says why, or [ErrType] if the map holds no records.
func (m *Map) Counted() error {
	if _, ok := kindOf(m.typ); !ok {
		return fmt.Errorf("map %s: %w: %s", m.name, ErrType, m.typ)
	}
	if m.loss.why != nil {
		return fmt.Errorf("map %s: %w: %w", m.name, ErrNotCounted, m.loss.why)
	}
	return nil
}

// String names the map and its type: "events (RingBuf)".
func (m *Map) String() string { return fmt.Sprintf("%s (%s)", m.name, m.typ) }

// LookupInto copies the value of key into value. flags are the kernel's BPF_F_* lookup flags, usually zero.
// A missing key matches [ebpf.ErrKeyNotExist] and unwraps to ENOENT. Queues and stacks have no keys: give none, and the call
// looks at the next value without removing it.
func (m *Map) LookupInto(key, value []byte, flags uint64) error {
	if len(key) != m.keySize || len(value) != m.valueSize {
		return m.sizeError(opLookup, key, value)
	}
	return m.do(opLookup, unix.BPF_MAP_LOOKUP_ELEM, unsafe.SliceData(key), unsafe.SliceData(value), flags)
}

// Update sets the value of key. flags are BPF_ANY (0), BPF_NOEXIST (1) or BPF_EXIST (2), and BPF_F_LOCK (4).
// For queues and stacks it appends a value.
func (m *Map) Update(key, value []byte, flags uint64) error {
	if len(key) != m.keySize || len(value) != m.valueSize {
		return m.sizeError(opUpdate, key, value)
	}
	return m.do(opUpdate, unix.BPF_MAP_UPDATE_ELEM, unsafe.SliceData(key), unsafe.SliceData(value), flags)
}

// Delete removes key. A missing key matches [ebpf.ErrKeyNotExist].
func (m *Map) Delete(key []byte) error {
	if len(key) != m.keySize {
		return m.sizeError(opDelete, key, nil)
	}
	return m.do(opDelete, unix.BPF_MAP_DELETE_ELEM, unsafe.SliceData(key), nil, 0)
}

// NextKeyInto stores in next the key that follows key in the kernel's order. A nil key asks for the first one. After the last
// key the error matches [ebpf.ErrKeyNotExist]. A key that has been removed meanwhile starts the order again, so a loop over a
// map that others change needs a bound.
func (m *Map) NextKeyInto(key, next []byte) error {
	if (key != nil && len(key) != m.keySize) || len(next) != m.keySize {
		return m.sizeError(opNextKey, key, next)
	}
	return m.do(opNextKey, unix.BPF_MAP_GET_NEXT_KEY, unsafe.SliceData(key), unsafe.SliceData(next), 0)
}

// LookupAndDelete copies the value of key into value and removes it in one step; for queues and stacks it takes the next value.
// Requires at least Linux 4.20 for queues and stacks, 5.14 for hash maps.
func (m *Map) LookupAndDelete(key, value []byte, flags uint64) error {
	if len(key) != m.keySize || len(value) != m.valueSize {
		return m.sizeError(opLookupDelete, key, value)
	}
	return m.do(opLookupDelete, unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM, unsafe.SliceData(key), unsafe.SliceData(value), flags)
}

// mapAttr is the part of union bpf_attr that operations on elements use.
type mapAttr struct {
	fd    uint32
	_     uint32
	key   userPointer
	value userPointer
	flags uint64
}

// do asks the kernel. The pointers stay pointers until the system call, so that the garbage collector follows them if they
// lead to its memory.
func (m *Map) do(op mapOp, cmd uintptr, key, value *byte, flags uint64) error {
	if !m.use.enter() {
		return m.closedError(op)
	}
	if m.keySize == 0 {
		key = nil // the kernel refuses a pointer here
	}
	attr := mapAttr{fd: m.fd, key: userPointer{ptr: unsafe.Pointer(key)}, value: userPointer{ptr: unsafe.Pointer(value)}, flags: flags}
	var errno unix.Errno
	if m.brief {
		_, _, errno = unix.RawSyscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	} else {
		_, _, errno = unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	m.leave()
	switch errno {
	case 0:
		return nil
	case unix.ENOENT:
		if flags&updateExist == 0 {
			return &m.miss[op]
		}
	}
	return &MapError{Op: op.String(), Map: m.name, Errno: errno, Hint: m.hint(op, flags, errno)}
}

// leave ends a use of the descriptor and closes it if the Object was closed meanwhile.
func (m *Map) leave() {
	if m.use.leave() {
		_ = m.release()
	}
}

// close gives up the file descriptor once the operations that run are done.
func (m *Map) close() error {
	if _, release := m.use.close(); release {
		return m.release()
	}
	return nil
}

// release closes the descriptor, after what goes with it.
func (m *Map) release() error {
	if m.before == nil {
		return m.m.Close()
	}
	return errors.Join(m.before(), m.m.Close())
}

func (m *Map) closedError(op mapOp) error {
	return fmt.Errorf("%s in map %s: %w", op, m.name, os.ErrClosed)
}

func (m *Map) sizeError(op mapOp, key, value []byte) error {
	switch {
	case op == opNextKey:
		return fmt.Errorf("%s in map %s: %w: keys of %d and %d bytes, not %d", op, m.name, ErrSize, len(key), len(value), m.keySize)
	case len(key) != m.keySize:
		return fmt.Errorf("%s in map %s: %w: key of %d bytes, not %d", op, m.name, ErrSize, len(key), m.keySize)
	default:
		return fmt.Errorf("%s in map %s: %w: value of %d bytes, not %d", op, m.name, ErrSize, len(value), m.valueSize)
	}
}

// mapOp numbers the operations, so that the answer to a missing key needs no allocation.
type mapOp int

const (
	opLookup mapOp = iota
	opUpdate
	opDelete
	opNextKey
	opLookupDelete
	opLookupBatch
	opLookupDeleteBatch
	opUpdateBatch
	opDeleteBatch
	opCount
)

const enoent = unix.ENOENT

// String names the operation.
func (op mapOp) String() string {
	return [opCount]string{"lookup", "update", "delete", "next key", "lookup and delete",
		"batch lookup", "batch lookup and delete", "batch update", "batch delete"}[op]
}

// maxBrief bounds what the kernel copies while the scheduler does not know that it is in a system call.
const maxBrief = 4096

// brief reports whether operations on elements take well under a microsecond of the kernel's time and never wait, as those on
// map-in-map types and device maps do.
func brief(t ebpf.MapType, entrySize int) bool {
	switch t {
	case ebpf.Hash, ebpf.Array, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUCPUHash, ebpf.LPMTrie, ebpf.Queue, ebpf.Stack:
		return entrySize <= maxBrief
	}
	return false
}

// perCPU reports whether entries of a map type have a value for each possible CPU.
func perCPU(t ebpf.MapType) bool {
	switch t {
	case ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUCPUHash, ebpf.PerCPUCGroupStorage:
		return true
	}
	return false
}

// holdsFDs reports whether values are file descriptors to write and ids to read, of four bytes whatever the map says.
func holdsFDs(t ebpf.MapType) bool {
	switch t {
	case ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		return true
	}
	return false
}
