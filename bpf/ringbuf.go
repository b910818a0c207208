package bpf

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	ringBusy    = 1 << 31 // the record is being written
	ringDiscard = 1 << 30 // the program gave it up
	ringHeader  = 8
	// ringOverwrite is BPF_F_RB_OVERWRITE (Linux 6.19): old records are replaced by new ones.
	ringOverwrite = 1 << 19
)

// Ring reads a BPF ring buffer (BPF_MAP_TYPE_RINGBUF). Requires at least Linux 5.8.
//
// It shares the kernel's memory: records are handed out where the program wrote them. Space is given back to the programs
// while a Drain runs, in steps of an eighth of the ring.
type Ring struct {
	m *Map
	w *waiter

	consumer []byte // one page, writable
	producer []byte // one page and the data twice in a row, read-only
	data     []byte // the part of producer that holds the data
	size     uint64
	mask     uint64
	step     uint64 // bytes to consume before the space is given back
	wide     bool   // positions have 64 bits

	draining atomic.Bool
	stop     atomic.Bool // Close was called
	pos      uint64      // of the next record; owned by Wait and Drain
	lost     atomic.Uint64
}

var _ Events = (*Ring)(nil)

// OpenRing opens a reader. A ring has one reader in this process at a time, through whichever Map: another one gives [ErrBusy].
// Readers in several processes take each other's records. The caller owns the Ring; it may be closed before or after the Object. For
// another type of map the error matches [ErrType].
func OpenRing(m *Map) (*Ring, error) {
	fail := func(err error) (*Ring, error) { return nil, fmt.Errorf("open ring buffer %s: %w", m.name, err) }
	if m.typ != ebpf.RingBuf {
		return fail(fmt.Errorf("%w: the map is a %s", ErrType, m.typ))
	}
	if m.flags&ringOverwrite != 0 {
		return fail(&UnsupportedError{Feature: "overwriting ring buffers", Reason: "not supported by this reader", Need: "a map without BPF_F_RB_OVERWRITE"})
	}
	if !m.use.enter() {
		return fail(os.ErrClosed)
	}
	defer m.leave()
	if !m.startReading() {
		return fail(fmt.Errorf("%w: it has a reader", ErrBusy))
	}
	r := &Ring{m: m, wide: wideRing(), size: uint64(m.maxEntries), mask: uint64(m.maxEntries) - 1}
	r.step = r.size / 8
	if err := r.open(); err != nil {
		m.stopReading()
		return fail(err)
	}
	return r, nil
}

func (r *Ring) open() error {
	page := os.Getpagesize()
	if r.size == 0 || r.size&r.mask != 0 || 2*r.size > uint64(math.MaxInt-page) {
		return fmt.Errorf("%w: a ring of %d bytes", ErrSize, r.size)
	}
	fd := int(r.m.fd)
	var err error
	if r.consumer, err = unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the reader's page: %w", err)
	}
	if r.producer, err = unix.Mmap(fd, int64(page), page+2*int(r.size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return errors.Join(fmt.Errorf("map the data: %w", err), r.unmap())
	}
	r.data = r.producer[page:]
	// The waiter keeps a descriptor of its own, so that the Object may be closed first.
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return errors.Join(fmt.Errorf("duplicate the descriptor: %w", err), r.unmap())
	}
	r.w, err = newWaiter(func() error {
		r.lost.Store(r.m.stopReading())
		return errors.Join(r.unmap(), unix.Close(own))
	})
	if err != nil {
		return errors.Join(err, r.unmap(), unix.Close(own))
	}
	if err := r.w.add(own, unix.EPOLLIN|unix.EPOLLET); err != nil {
		// Not through close: the map is given back by the caller.
		return errors.Join(err, r.unmap(), unix.Close(own), unix.Close(r.w.epoll), unix.Close(r.w.wake))
	}
	r.pos = r.loadPos(r.consumer)
	return nil
}

func (r *Ring) unmap() error {
	var errs []error
	for _, mem := range [][]byte{r.consumer, r.producer} {
		if mem != nil {
			errs = append(errs, unix.Munmap(mem))
		}
	}
	r.consumer, r.producer, r.data = nil, nil, nil
	return errors.Join(errs...)
}

// wideRing reports whether the kernel's "unsigned long" has 64 bits, which a 32-bit process cannot know from its own.
func wideRing() bool { return kernel.PointerSize() == 8 }

// loadPos reads the position at the start of a page, with acquire semantics.
func (r *Ring) loadPos(page []byte) uint64 { return loadPosition(page, r.wide) }

// storePos tells the programs that all before pos may be overwritten. It is a full barrier: a program that commits a record
// later sees the position and wakes us, one that committed before is seen by the next look at the record's header.
func (r *Ring) storePos(pos uint64) { storePosition(r.consumer, r.wide, pos) }

// available is the number of bytes between the next record and the end.
func (r *Ring) available() uint64 {
	n := r.loadPos(r.producer) - r.pos
	if !r.wide {
		n = uint64(uint32(n))
	}
	return n
}

// header reads the length and the flags of the record at pos, with acquire semantics: the record is complete if it is not
// busy.
func (r *Ring) header(pos uint64) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[pos&r.mask])))
}

// ready reports whether Drain would find a record. It passes over discarded ones only in Drain.
func (r *Ring) ready() bool {
	return r.available() >= ringHeader && r.header(r.pos)&ringBusy == 0
}

// Wait implements [Events].
func (r *Ring) Wait(ctx context.Context, timeout time.Duration) (bool, error) {
	if err := r.w.enter(); err != nil {
		return false, fmt.Errorf("wait for ring buffer %s: %w", r.m.name, err)
	}
	defer r.w.leave()
	ok, err := r.w.wait(ctx, timeout, r.ready)
	if errors.Is(err, os.ErrClosed) {
		err = fmt.Errorf("wait for ring buffer %s: %w", r.m.name, err)
	}
	return ok, err
}

// Drain implements [Events]. A record that a program is still writing holds up those behind it.
func (r *Ring) Drain(limit int, fn func(rec []byte) error) (n int, err error) {
	if !r.draining.CompareAndSwap(false, true) {
		return 0, fmt.Errorf("drain ring buffer %s: %w: a drain is running", r.m.name, ErrBusy)
	}
	defer r.draining.Store(false)
	if err := r.w.enter(); err != nil {
		return 0, fmt.Errorf("drain ring buffer %s: %w", r.m.name, err)
	}
	defer r.w.leave()
	if limit <= 0 {
		limit = math.MaxInt
	}
	left := r.available()
	if left > r.size {
		return 0, fmt.Errorf("drain ring buffer %s: %w: %d bytes in a ring of %d; has another process moved the reader's position?", r.m.name, ErrSize, left, r.size)
	}
	pos, given := r.pos, r.pos
	defer func() { // also when fn panics
		r.pos = pos
		if pos != given {
			r.storePos(pos)
		}
	}()
	data, mask, step := r.data, r.mask, r.step
	for n < limit && left >= ringHeader && !r.stop.Load() {
		start := pos & mask
		head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&data[start])))
		if head&ringBusy != 0 {
			break
		}
		length := uint64(head &^ (ringBusy | ringDiscard))
		total := (length + ringHeader + 7) &^ 7
		if total > left {
			return n, fmt.Errorf("drain ring buffer %s: %w: a record of %d bytes where %d are left", r.m.name, ErrSize, length, left)
		}
		pos += total
		left -= total
		if head&ringDiscard == 0 {
			n++
			start += ringHeader
			if err := fn(data[start : start+length : start+length]); err != nil {
				return n, err
			}
		}
		if pos-given >= step {
			r.storePos(pos)
			given = pos
		}
	}
	return n, nil
}

// Lost implements [Events]. It is exact if [Ring.Counted] returns nil. After Close it keeps its last value.
func (r *Ring) Lost() uint64 {
	if r.w.enter() != nil {
		return r.lost.Load()
	}
	defer r.w.leave()
	return r.m.lostNow()
}

// Counted returns nil if [Ring.Lost] is exact, else an error that says why; see [Map.Counted].
func (r *Ring) Counted() error { return r.m.Counted() }

// Map returns the map that is read.
func (r *Ring) Map() *Map { return r.m }

// Close implements [Events].
func (r *Ring) Close() error {
	r.stop.Store(true)
	return r.w.close()
}
