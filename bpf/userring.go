package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrFull says that a user ring buffer has no room until a program has read from it. It unwraps to EAGAIN.
var ErrFull error = fullError{}

type fullError struct{}

func (fullError) Error() string { return "no room until a program has read" }
func (fullError) Unwrap() error { return unix.EAGAIN }

// UserRing sends records to programs, which read them with bpf_user_ringbuf_drain (BPF_MAP_TYPE_USER_RINGBUF). Requires at
// least Linux 6.1. All methods may be used from several goroutines at once.
//
// The ring lies in memory that is shared with the kernel: a record is one copy and no system call. Nothing wakes a program; it reads
// when it runs.
type UserRing struct {
	m    *Map
	id   uint64 // in readers
	size uint64
	mask uint64
	wide bool // positions have 64 bits

	// mu guards the fields that follow.
	mu       sync.Mutex
	consumer []byte // one page, read-only; nil after Close
	producer []byte // one page and the data twice in a row, writable
	data     []byte // the part of producer that holds the data
	pos      uint64 // of the next record
}

// OpenUserRing opens a writer. A ring has one writer in this process at a time: another one gives [ErrBusy]; writers in several
// processes destroy each other's records. The caller owns the UserRing; it may be closed before or after the map. For another type
// of map the error matches [ErrType].
func OpenUserRing(m *Map) (*UserRing, error) {
	fail := func(err error) (*UserRing, error) {
		return nil, fmt.Errorf("open user ring buffer %s: %w", m.name, err)
	}
	if m.typ != ebpf.UserRingbuf {
		return fail(fmt.Errorf("%w: the map is a %s", ErrType, m.typ))
	}
	if !m.use.enter() {
		return fail(os.ErrClosed)
	}
	defer m.leave()
	u := &UserRing{m: m, id: kernelMapID(m.m), size: uint64(m.maxEntries), mask: uint64(m.maxEntries) - 1, wide: wideRing()}
	if !readers.take(u.id) {
		return fail(fmt.Errorf("%w: it has a writer", ErrBusy))
	}
	if err := u.open(); err != nil {
		readers.give(u.id)
		return fail(err)
	}
	return u, nil
}

func (u *UserRing) open() error {
	page := os.Getpagesize()
	if u.size == 0 || u.size&u.mask != 0 || 2*u.size > uint64(math.MaxInt-page) {
		return fmt.Errorf("%w: a ring of %d bytes", ErrSize, u.size)
	}
	var err error
	if u.consumer, err = unix.Mmap(int(u.m.fd), 0, page, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the kernel's page: %w", err)
	}
	u.producer, err = unix.Mmap(int(u.m.fd), int64(page), page+2*int(u.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return errors.Join(fmt.Errorf("map the data: %w", err), u.unmap())
	}
	u.data = u.producer[page:]
	u.pos = loadPosition(u.producer, u.wide)
	return nil
}

func (u *UserRing) unmap() error {
	var errs []error
	for _, mem := range [][]byte{u.consumer, u.producer} {
		if mem != nil {
			errs = append(errs, unix.Munmap(mem))
		}
	}
	u.consumer, u.producer, u.data = nil, nil, nil
	return errors.Join(errs...)
}

// Write sends one record. Without room for it the error matches [ErrFull] and nothing is sent: try again later. A record that is
// larger than the ring gives [ErrSize]. After Close the error matches [os.ErrClosed].
func (u *UserRing) Write(rec []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	room, err := u.room()
	if err != nil {
		return err
	}
	pos, err := u.put(u.pos, room, rec)
	if err != nil {
		return err
	}
	u.publish(pos)
	return nil
}

// WriteBatch sends records framed as [Ring.ReadInto] frames them; source and flags do not count. It returns how many bytes of frames
// and how many records were sent: all, or those before an error. The programs see them all at once. Errors are those of Write; a
// frame that is not whole gives [ErrSize].
func (u *UserRing) WriteBatch(frames []byte) (used, records int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	room, err := u.room()
	if err != nil {
		return 0, 0, err
	}
	pos := u.pos
	for used < len(frames) {
		left := uint64(len(frames) - used)
		if left < FrameHeader {
			err = fmt.Errorf("write to user ring buffer %s: %w: %d bytes are no frame", u.m.name, ErrSize, left)
			break
		}
		length := uint64(binary.LittleEndian.Uint32(frames[used:]))
		if frameSize(length) > left {
			err = fmt.Errorf("write to user ring buffer %s: %w: a frame of %d bytes where %d are left", u.m.name, ErrSize, frameSize(length), left)
			break
		}
		start := used + FrameHeader
		next, e := u.put(pos, room-(pos-u.pos), frames[start:start+int(length)])
		if e != nil {
			err = e
			break
		}
		pos = next
		used += int(frameSize(length))
		records++
	}
	if records > 0 {
		u.publish(pos)
	}
	return used, records, err
}

// room returns how many bytes the ring has left. It must be called with mu held.
func (u *UserRing) room() (uint64, error) {
	if u.data == nil {
		return 0, fmt.Errorf("write to user ring buffer %s: %w", u.m.name, os.ErrClosed)
	}
	filled := u.pos - loadPosition(u.consumer, u.wide)
	if !u.wide {
		filled = uint64(uint32(filled))
	}
	if filled > u.size {
		return 0, fmt.Errorf("write to user ring buffer %s: %w: %d bytes in a ring of %d; does another process write to it?", u.m.name, ErrSize, filled, u.size)
	}
	return u.size - filled, nil
}

// put writes a record at pos and returns the position behind it. The data lies twice in a row, so that no record is cut.
func (u *UserRing) put(pos, room uint64, rec []byte) (uint64, error) {
	total := (uint64(len(rec)) + ringHeader + 7) &^ 7
	if total > u.size || uint64(len(rec)) >= ringDiscard {
		return 0, fmt.Errorf("write to user ring buffer %s: %w: a record of %d bytes, at most %d", u.m.name, ErrSize, len(rec), u.size-ringHeader)
	}
	if total > room {
		return 0, fmt.Errorf("write to user ring buffer %s: %w", u.m.name, ErrFull)
	}
	start := pos & u.mask
	binary.NativeEndian.PutUint32(u.data[start:], uint32(len(rec)))
	binary.NativeEndian.PutUint32(u.data[start+4:], 0)
	copy(u.data[start+ringHeader:], rec)
	return pos + total, nil
}

// publish shows the programs all before pos. It is a release: the records are written before the position.
func (u *UserRing) publish(pos uint64) {
	u.pos = pos
	storePosition(u.producer, u.wide, pos)
}

// Map returns the map that is written to.
func (u *UserRing) Map() *Map { return u.m }

// Close gives up the memory. Records that were sent stay for the programs. It is idempotent.
func (u *UserRing) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.data == nil {
		return nil
	}
	readers.give(u.id)
	if err := u.unmap(); err != nil {
		return fmt.Errorf("close user ring buffer %s: %w", u.m.name, err)
	}
	return nil
}

// loadPosition reads the position at the start of a page of a ring, with acquire semantics.
func loadPosition(page []byte, wide bool) uint64 {
	if wide {
		return atomic.LoadUint64((*uint64)(unsafe.Pointer(&page[0])))
	}
	return uint64(atomic.LoadUint32((*uint32)(unsafe.Pointer(&page[0]))))
}

// storePosition writes it, as a full barrier.
func storePosition(page []byte, wide bool, pos uint64) {
	if wide {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&page[0])), pos)
	} else {
		atomic.StoreUint32((*uint32)(unsafe.Pointer(&page[0])), uint32(pos))
	}
}
