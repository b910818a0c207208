package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"
)

// FrameHeader is the length in bytes of what [Ring.ReadInto] and [Perf.ReadInto] put before each record.
const FrameHeader = 8

// ErrRecordSize says that the next record does not fit into the room given. See [RecordSizeError].
var ErrRecordSize = errors.New("record too large")

// RecordSizeError says how much room the next record needs. It matches [ErrRecordSize].
type RecordSizeError struct {
	// Need is the length of the record's frame in bytes.
	Need int
}

// Error says how much room is needed.
func (e *RecordSizeError) Error() string {
	return fmt.Sprintf("the next record does not fit: it needs room for %d bytes", e.Need)
}

// Is reports whether target is [ErrRecordSize].
func (e *RecordSizeError) Is(target error) bool { return target == ErrRecordSize }

// frameSize is the length of the frame of a record: header, data, and zeros up to a multiple of eight.
func frameSize(length uint64) uint64 { return (length + FrameHeader + 7) &^ 7 }

// ReadInto copies the records that are there into dst, in order, each as a frame, and returns how many bytes it wrote and how many
// records they are. Frames are never cut: it stops before the first that does not fit. If that is the very first, the error is a
// [RecordSizeError] with the length that it needs, and the record stays.
//
//	 0      4        6       8
//	+------+--------+-------+------ ... ------+---------------------------+
//	| size | source | flags | size bytes      | zeros to a multiple of 8  |
//	+------+--------+-------+------ ... ------+---------------------------+
//
// Numbers are little-endian; flags are zero. dst may lie outside the Go heap. A record that a program is still writing holds up those
// behind it. The space of the records is given back to the programs in steps of an eighth of the ring, and at the end. ReadInto does
// not block. While a Drain or another ReadInto runs it gives [ErrBusy]; after Close the error matches [os.ErrClosed].
func (r *Ring) ReadInto(dst []byte, source uint16) (used, records int, err error) {
	if !r.draining.CompareAndSwap(false, true) {
		return 0, 0, fmt.Errorf("read ring buffer %s: %w: a drain is running", r.m.name, ErrBusy)
	}
	defer r.draining.Store(false)
	if err := r.w.enter(); err != nil {
		return 0, 0, fmt.Errorf("read ring buffer %s: %w", r.m.name, err)
	}
	defer r.w.leave()
	left := r.available()
	if left > r.size {
		return 0, 0, fmt.Errorf("read ring buffer %s: %w: %d bytes in a ring of %d; has another process moved the reader's position?", r.m.name, ErrSize, left, r.size)
	}
	var at uint64
	need := uint64(0)
	room := uint64(len(dst))
	for left >= ringHeader && !r.stop.Load() {
		// One step: the space is given back after it.
		end, start := left-min(left, r.step), r.pos
		at, records, left, need, err = r.copyFrames(dst, at, room, left, end, records, source)
		if r.pos == start {
			break
		}
		r.storePos(r.pos)
		if err != nil || need > 0 || left > end {
			break
		}
	}
	if err == nil && records == 0 && need > 0 {
		err = &RecordSizeError{Need: int(need)}
	}
	return int(at), records, err
}

// copyStep is how many bytes are copied at once: they stay in the first-level cache between the look at the headers, the copy and the
// new headers.
const copyStep = 8 << 10

// copyFrames copies records until no more than end bytes are left in the ring, or until there is none that is complete, or until one
// needs more room, which it returns.
func (r *Ring) copyFrames(dst []byte, at, room, left, end uint64, records int, source uint16) (uint64, int, uint64, uint64, error) {
	pos, mask := r.pos, r.mask
	base := unsafe.Pointer(unsafe.SliceData(r.data))
	to := unsafe.Pointer(unsafe.SliceData(dst))
	tag := uint64(source) << 32
	for left > end && left >= ringHeader {
		from := unsafe.Add(base, pos&mask)
		head := atomic.LoadUint32((*uint32)(from))
		if head&ringBusy != 0 {
			break
		}
		length := uint64(head &^ (ringBusy | ringDiscard))
		total := (length + ringHeader + 7) &^ 7
		if total > left {
			r.pos = pos
			return at, records, left, 0, fmt.Errorf("read ring buffer %s: %w: a record of %d bytes where %d are left", r.m.name, ErrSize, length, left)
		}
		if head&ringDiscard == 0 {
			if total > room-at { // a frame is as long as the record in the ring
				r.pos = pos
				return at, records, left, total, nil
			}
			n, run := sameHeads(from, head, total, min(left, room-at, max(copyStep, total)))
			copyRun(unsafe.Add(to, at), from, run, total, length|tag)
			at += run
			records += n
			total = run
		}
		pos += total
		left -= total
	}
	r.pos = pos
	return at, records, left, 0, nil
}

// sameHeads counts the records from here on that have the same header as the first, within limit bytes. The ring lies in memory twice
// in a row, so that they do, too.
func sameHeads(from unsafe.Pointer, head uint32, total, limit uint64) (n int, bytes uint64) {
	n, bytes = 1, total
	for bytes+total <= limit && atomic.LoadUint32((*uint32)(unsafe.Add(from, bytes))) == head {
		bytes += total
		n++
	}
	return n, bytes
}

// copyRun copies records of one length, which are run bytes in the ring, each total, and makes frames of them.
func copyRun(to, from unsafe.Pointer, run, total, head uint64) {
	copy(unsafe.Slice((*byte)(to), run), unsafe.Slice((*byte)(from), run))
	for at := uint64(0); at < run; at += total {
		putLE64(unsafe.Add(to, at), head)
	}
	if used := head & 7; used != 0 { // what is behind the data is left from older records
		keep := uint64(1)<<(8*used) - 1
		for at := total - 8; at < run; at += total {
			last := unsafe.Add(to, at)
			putLE64(last, binary.LittleEndian.Uint64((*[8]byte)(last)[:])&keep)
		}
	}
}

// copyFrame writes one frame. The padding is written first, so that whole words can be copied over it.
func copyFrame(to, from unsafe.Pointer, head, length uint64) {
	putLE64(to, head)
	to = unsafe.Add(to, FrameHeader)
	if length&7 != 0 {
		putLE64(unsafe.Add(to, length&^7), 0)
	}
	copy(unsafe.Slice((*byte)(to), length), unsafe.Slice((*byte)(from), length))
}

// putLE64 stores a number at any address.
func putLE64(to unsafe.Pointer, v uint64) { binary.LittleEndian.PutUint64((*[8]byte)(to)[:], v) }

// Ready reports whether a record is there now, without waiting. It is false after Close.
func (r *Ring) Ready() bool { return readyNow(r) }

// Ready is [Ring.Ready] for perf arrays.
func (p *Perf) Ready() bool { return readyNow(p) }

func readyNow[S source](s S) bool {
	if s.waiter().enter() != nil {
		return false
	}
	defer s.waiter().leave()
	return s.ready()
}

// ReadInto is [Ring.ReadInto] for perf arrays. A record has the length that the kernel stores, which is up to seven bytes more than
// the program sent. It goes over the CPUs, beginning with another one each time; the error with the needed room is for the first
// CPU that has a record.
func (p *Perf) ReadInto(dst []byte, source uint16) (used, records int, err error) {
	if !p.draining.CompareAndSwap(false, true) {
		return 0, 0, fmt.Errorf("read perf array %s: %w: a drain is running", p.m.name, ErrBusy)
	}
	defer p.draining.Store(false)
	if err := p.w.enter(); err != nil {
		return 0, 0, fmt.Errorf("read perf array %s: %w", p.m.name, err)
	}
	defer p.w.leave()
	var need int
	room := dst
	for i := range p.cpus {
		_, err := p.drainCPU(p.cpus[(p.next+i)%len(p.cpus)], math.MaxInt, func(rec []byte) error {
			length := uint64(len(rec))
			n := frameSize(length)
			if n > uint64(len(room)) {
				need = int(n)
				return errNoRoom
			}
			copyFrame(unsafe.Pointer(&room[0]), unsafe.Pointer(unsafe.SliceData(rec)), length|uint64(source)<<32, length)
			room = room[n:]
			records++
			return nil
		})
		if err == errNoRoom {
			break
		}
		if err != nil {
			return len(dst) - len(room), records, err
		}
	}
	p.next++
	if records == 0 && need > 0 {
		return 0, 0, &RecordSizeError{Need: need}
	}
	return len(dst) - len(room), records, nil
}
