package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// ErrCursor says that bytes are not a cursor which a batch look-up of this map left.
var ErrCursor = errors.New("not a cursor of this map")

// A cursor is a word in native byte order that says what follows it:
//
//	 0       8                 8 + max(key size, 4), rounded up to 8
//	+-------+-----------------+
//	| state | token or key    |
//	+-------+-----------------+
//
// It lies with the caller and may hold anything. The kernel takes any token and any key, and it only ever writes where we tell it
// to, so that the worst a wrong cursor does is to begin elsewhere.
const (
	cursorStart = iota // what follows means nothing
	cursorToken        // the kernel's token: a bucket of a hash, the last key of other maps
	cursorKey          // the last key; the next one is asked for
	cursorDone         // nothing follows
)

const cursorState = 8

// CursorSize returns the length in bytes of a cursor for [Map.LookupBatch].
func (m *Map) CursorSize() int { return cursorState + (max(m.keySize, 4)+7)&^7 }

// batchAttr is the part of union bpf_attr that batches use.
type batchAttr struct {
	in, out, keys, values userPointer
	count                 uint32
	fd                    uint32
	elemFlags, flags      uint64
}

// LookupBatch copies entries into keys and values, one behind the other as [Map.KeySize] and [Map.ValueSize] lay them out, and
// returns how many. It copies at most as many as both have room for, often fewer, because a hash hands out whole buckets.
// cursor holds where the next call goes on; it has [Map.CursorSize] bytes, and all zero means the start. At the end n is zero and
// the error nil. While nothing changes, every entry comes exactly once; while entries come and go some may be missed or repeated.
// flags are zero or BPF_F_LOCK (4).
//
// A hash whose next bucket holds more entries than there is room for gives an error that unwraps to ENOSPC, and the cursor stays
// as it was: call again with more room. A cursor may hold any bytes; those that no call has left match [ErrCursor], or begin
// elsewhere. The error matches [ErrType] for maps without keys (queues, stacks, Bloom filters, ring buffers) and for maps whose
// keys are descriptors. For maps whose values are descriptors the values are the kernel's ids.
//
// It is one system call from Linux 5.6 on; before, and for types that the kernel has no batches for, it is two for each entry. Then
// a call that met nothing but many thousand empty places gives an error that unwraps to EAGAIN, and the cursor has moved: call again.
func (m *Map) LookupBatch(cursor, keys, values []byte, flags uint64) (n int, err error) {
	return m.lookupBatch(opLookupBatch, unix.BPF_MAP_LOOKUP_BATCH, cursor, keys, values, flags)
}

// LookupAndDeleteBatch is [Map.LookupBatch] that removes the entries it copies. The error matches [ErrType] also for maps whose
// values are descriptors.
func (m *Map) LookupAndDeleteBatch(cursor, keys, values []byte, flags uint64) (n int, err error) {
	if m.ValuesAreFDs() {
		return 0, m.noBatch(opLookupDeleteBatch, "its values are descriptors")
	}
	return m.lookupBatch(opLookupDeleteBatch, unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH, cursor, keys, values, flags)
}

// UpdateBatch sets entries, laid out as [Map.LookupBatch] does, and returns how many were set before an error. keys and values must
// hold the same number of entries ([ErrSize]). flags are those of [Map.Update]. The error matches [ErrType] for maps whose keys or
// values are descriptors and for maps without keys.
//
// It is one system call from Linux 5.6 on if flags are zero or BPF_F_LOCK (4), else one for each entry.
func (m *Map) UpdateBatch(keys, values []byte, flags uint64) (n int, err error) {
	if m.ValuesAreFDs() {
		return 0, m.noBatch(opUpdateBatch, "its values are descriptors")
	}
	count, err := m.batchCount(opUpdateBatch, keys, values, true)
	if count == 0 || err != nil {
		return 0, err
	}
	if flags&^unix.BPF_F_LOCK == 0 {
		n, errno := m.changeBatch(opUpdateBatch, unix.BPF_MAP_UPDATE_BATCH, keys, values, count, flags)
		if !m.unsupported(opUpdateBatch, errno) {
			return n, m.answer(opUpdateBatch, errno)
		}
	}
	for n < count {
		k, v := n*m.keySize, n*m.valueSize
		if err := m.Update(keys[k:k+m.keySize], values[v:v+m.valueSize], flags); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// DeleteBatch removes keys and returns how many were removed before an error; a missing key is one and matches
// [ebpf.ErrKeyNotExist]. The error matches [ErrType] for maps whose keys are descriptors and for maps without keys.
// It is one system call from Linux 5.6 on; before, and for types that the kernel has no batches for, one for each key.
func (m *Map) DeleteBatch(keys []byte) (n int, err error) {
	count, err := m.batchCount(opDeleteBatch, keys, nil, false)
	if count == 0 || err != nil {
		return 0, err
	}
	n, errno := m.changeBatch(opDeleteBatch, unix.BPF_MAP_DELETE_BATCH, keys, nil, count, 0)
	if !m.unsupported(opDeleteBatch, errno) {
		return n, m.answer(opDeleteBatch, errno)
	}
	for n < count {
		if err := m.Delete(keys[n*m.keySize : (n+1)*m.keySize]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (m *Map) lookupBatch(op mapOp, cmd uintptr, cursor, keys, values []byte, flags uint64) (int, error) {
	if m.keySize == 0 || m.KeysAreFDs() {
		_, err := m.batchCount(op, keys, values, true)
		return 0, err
	}
	if len(cursor) != m.CursorSize() {
		return 0, fmt.Errorf("%s in map %s: %w: cursor of %d bytes, not %d", op, m.name, ErrSize, len(cursor), m.CursorSize())
	}
	room := len(keys) / m.keySize
	if m.valueSize > 0 {
		room = min(room, len(values)/m.valueSize)
	}
	if room = min(room, math.MaxInt32); room == 0 {
		return 0, fmt.Errorf("%s in map %s: %w: room for no entry; one takes %d and %d bytes", op, m.name, ErrSize, m.keySize, m.valueSize)
	}
	switch state := binary.NativeEndian.Uint64(cursor); state {
	case cursorDone:
		return 0, nil
	case cursorStart, cursorToken:
		if m.unbatched[op].Load() {
			if state == cursorToken {
				return 0, fmt.Errorf("%s in map %s: %w", op, m.name, ErrCursor)
			}
			break
		}
		n, errno := m.kernelBatch(op, cmd, cursor, keys, values, room, flags, state == cursorStart)
		if state == cursorToken || !m.unsupported(op, errno) {
			return n, m.answer(op, errno)
		}
	case cursorKey:
	default:
		return 0, fmt.Errorf("%s in map %s: %w", op, m.name, ErrCursor)
	}
	if op == opLookupDeleteBatch {
		return m.takeEach(cursor, keys, values, room, flags)
	}
	return m.lookupEach(cursor, keys, values, room, flags)
}

// kernelBatch is one call of the kernel for a batch of look-ups.
func (m *Map) kernelBatch(op mapOp, cmd uintptr, cursor, keys, values []byte, room int, flags uint64, start bool) (int, unix.Errno) {
	// The token of a hash comes here first: the kernel moves it also when it then finds a bucket that is too large.
	var bucket uint32
	token := unsafe.Pointer(&cursor[cursorState])
	out := token
	if m.hashToken() {
		out = unsafe.Pointer(&bucket)
	}
	attr := batchAttr{
		out: userPointer{ptr: out}, keys: userPointer{ptr: unsafe.Pointer(unsafe.SliceData(keys))},
		values: userPointer{ptr: unsafe.Pointer(unsafe.SliceData(values))}, count: uint32(room), elemFlags: flags,
	}
	if !start {
		attr.in.ptr = token
	}
	n, errno := m.batch(cmd, &attr)
	if n > room {
		n = 0 // the kernel did not get far enough to say
	}
	switch {
	case errno == 0 && n > 0, errno == unix.EINTR && n > 0: // until 6.13 a map that changes quickly could interrupt
		if m.hashToken() {
			binary.NativeEndian.PutUint32(cursor[cursorState:], bucket)
		}
		binary.NativeEndian.PutUint64(cursor, cursorToken)
	case errno == unix.ENOENT, errno == 0: // the end, with the last entries
		binary.NativeEndian.PutUint64(cursor, cursorDone)
	default:
		return 0, errno
	}
	return n, 0
}

// changeBatch is one call of the kernel for a batch of updates or deletions.
func (m *Map) changeBatch(op mapOp, cmd uintptr, keys, values []byte, count int, flags uint64) (int, unix.Errno) {
	if m.unbatched[op].Load() {
		return 0, enotsupp
	}
	attr := batchAttr{
		keys: userPointer{ptr: unsafe.Pointer(unsafe.SliceData(keys))}, values: userPointer{ptr: unsafe.Pointer(unsafe.SliceData(values))},
		count: uint32(count), elemFlags: flags,
	}
	n, errno := m.batch(cmd, &attr)
	if errno != 0 && n >= count {
		n = 0 // the kernel did not get far enough to say
	}
	return n, errno
}

// errClosed stands for a map that was closed; the kernel gives no such number.
const errClosed = unix.Errno(4095)

func (m *Map) batch(cmd uintptr, attr *batchAttr) (int, unix.Errno) {
	if !m.use.enter() {
		return 0, errClosed
	}
	attr.fd = m.fd
	_, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	m.leave()
	return int(attr.count), errno
}

// unsupported reports whether the kernel has no such batch for this map, and remembers it.
func (m *Map) unsupported(op mapOp, errno unix.Errno) bool {
	switch {
	case errno == enotsupp, errno == unix.EOPNOTSUPP:
	case errno == unix.EINVAL && tooOld(kernel.Version{Major: 5, Minor: 6}):
	default:
		return false
	}
	m.unbatched[op].Store(true)
	return true
}

// answer turns the kernel's answer into an error.
func (m *Map) answer(op mapOp, errno unix.Errno) error {
	switch errno {
	case 0:
		return nil
	case errClosed:
		return m.closedError(op)
	case unix.ENOENT:
		return &m.miss[op]
	}
	err := &MapError{Op: op.String(), Map: m.name, Errno: errno, Hint: m.hint(op, 0, errno)}
	if errno == unix.ENOSPC {
		return fmt.Errorf("%w: more entries share a bucket than there is room for; give room for twice as many", err)
	}
	return err
}

// hashToken reports whether the kernel's token is the number of a bucket.
func (m *Map) hashToken() bool {
	switch m.typ {
	case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.HashOfMaps:
		return true
	}
	return false
}

// batchCount returns how many entries keys, and values if there are any, hold.
func (m *Map) batchCount(op mapOp, keys, values []byte, both bool) (int, error) {
	if m.keySize == 0 {
		return 0, m.noBatch(op, "it has no keys")
	}
	if m.KeysAreFDs() {
		return 0, m.noBatch(op, "its keys are descriptors")
	}
	n := len(keys) / m.keySize
	if len(keys)%m.keySize != 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s in map %s: %w: %d bytes of keys of %d", op, m.name, ErrSize, len(keys), m.keySize)
	}
	if both && (len(values)%max(m.valueSize, 1) != 0 || len(values)/max(m.valueSize, 1) != n && m.valueSize > 0) {
		return 0, fmt.Errorf("%s in map %s: %w: %d bytes of values of %d for %d keys", op, m.name, ErrSize, len(values), m.valueSize, n)
	}
	return n, nil
}

func (m *Map) noBatch(op mapOp, why string) error {
	return fmt.Errorf("%s in map %s: %w: %s (%s)", op, m.name, ErrType, why, m.typ)
}
