package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// PerfOptions control [OpenPerf].
type PerfOptions struct {
	// BytesPerCPU is the size of each CPU's buffer in bytes, rounded up to a power of two of pages. Zero means 256 KiB.
	BytesPerCPU int
}

const defaultPerfBytes = 256 << 10

// Perf reads a perf event array (BPF_MAP_TYPE_PERF_EVENT_ARRAY), the way of sending records before ring buffers. Requires at
// least Linux 4.4. Each CPU has its own buffer; records of one CPU come in order, those of different CPUs do not.
//
// A record is followed by up to seven bytes without meaning, because the kernel stores a rounded length.
// Before a reader is opened there are no buffers, so that all records are lost; they count in [Perf.Lost]. A CPU that is
// offline when the reader is opened has no buffer either.
type Perf struct {
	m    *Map
	own  *ebpf.Map // keeps the array's entries when the Object is closed first
	w    *waiter
	cpus []*perfCPU

	draining atomic.Bool
	stop     atomic.Bool // Close was called
	next     int         // CPU to begin with; owned by Drain
	scratch  []byte      // a record that wraps around the end of its buffer
	reported atomic.Uint64
	lost     atomic.Uint64
}

var _ Events = (*Perf)(nil)

// perfCPU is the buffer of one CPU.
type perfCPU struct {
	cpu   int
	fd    int
	mem   []byte
	data  []byte
	head  *uint64 // written by the kernel
	tail  *uint64 // written by us
	pos   uint64
	given uint64 // the value in tail
	lost  bool   // the kernel counts what it loses (Linux 6.0)
}

// OpenPerf opens a reader with a buffer for each CPU. It needs CAP_PERFMON (5.8) or CAP_SYS_ADMIN. A map has one reader in
// this process at a time, through whichever Map: another one gives [ErrBusy]. One in another process takes the records of this one. The caller owns the Perf. For another type of map the error matches [ErrType].
func OpenPerf(m *Map, opts PerfOptions) (*Perf, error) {
	fail := func(err error) (*Perf, error) { return nil, fmt.Errorf("open perf array %s: %w", m.name, err) }
	if m.typ != ebpf.PerfEventArray {
		return fail(fmt.Errorf("%w: the map is a %s", ErrType, m.typ))
	}
	size := opts.BytesPerCPU
	if size == 0 {
		size = defaultPerfBytes
	}
	const most = 1 << 30
	if size < 0 || size > most {
		return fail(fmt.Errorf("%w: %d bytes for each CPU; at most %d", ErrSize, size, most))
	}
	page := os.Getpagesize()
	size = max(page, 1<<bits.Len(uint(size-1)))
	if !m.use.enter() {
		return fail(os.ErrClosed)
	}
	defer m.leave()
	if !m.startReading() {
		return fail(fmt.Errorf("%w: it has a reader", ErrBusy))
	}
	p := &Perf{m: m}
	if err := p.open(size); err != nil {
		err = errors.Join(err, p.free())
		if p.w != nil {
			unix.Close(p.w.epoll)
			unix.Close(p.w.wake)
		}
		m.stopReading()
		return fail(err)
	}
	return p, nil
}

func (p *Perf) open(size int) error {
	var err error
	if p.own, err = p.m.m.Clone(); err != nil {
		return fmt.Errorf("duplicate the descriptor: %w", err)
	}
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count the possible CPUs: %w", err)
	}
	p.w, err = newWaiter(func() error {
		p.lost.Store(p.count())
		p.m.stopReading()
		return p.free()
	})
	if err != nil {
		return err
	}
	for cpu := range min(possible, int(p.m.maxEntries)) {
		c, err := openPerfCPU(cpu, size)
		if errors.Is(err, unix.ENODEV) {
			continue // offline
		}
		if err != nil {
			return err
		}
		p.cpus = append(p.cpus, c)
		if err := p.w.add(c.fd, unix.EPOLLIN|unix.EPOLLET); err != nil {
			return err
		}
		if err := p.own.Put(uint32(cpu), uint32(c.fd)); err != nil {
			return fmt.Errorf("store the buffer of CPU %d: %w", cpu, err)
		}
	}
	if len(p.cpus) == 0 {
		return &UnsupportedError{Feature: "perf events", Reason: "no CPU has them"}
	}
	return nil
}

func openPerfCPU(cpu, size int) (*perfCPU, error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT,
		Sample: 1, Sample_type: unix.PERF_SAMPLE_RAW, Wakeup: 1, Read_format: unix.PERF_FORMAT_LOST,
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err == unix.EINVAL {
		attr.Read_format = 0
		fd, err = unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	}
	if err == unix.EACCES || err == unix.EPERM {
		return nil, &PermissionError{What: fmt.Sprintf("open a perf event on CPU %d", cpu), Capability: "CAP_PERFMON (or kernel.perf_event_paranoid below 1)", Cause: err}
	}
	if err != nil {
		return nil, fmt.Errorf("open a perf event on CPU %d: %w", cpu, err)
	}
	page := os.Getpagesize()
	mem, err := unix.Mmap(fd, 0, page+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("map %d bytes for CPU %d: %w", size, cpu, err)
	}
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
	c := &perfCPU{cpu: cpu, fd: fd, mem: mem, data: mem[page : page+size], head: &meta.Data_head, tail: &meta.Data_tail, lost: attr.Read_format != 0}
	c.pos = atomic.LoadUint64(c.tail)
	c.given = c.pos
	return c, nil
}

// free gives up the buffers. It takes them out of the array first, so that programs see that nobody reads.
func (p *Perf) free() error {
	var errs []error
	for _, c := range p.cpus {
		if err := p.own.Delete(uint32(c.cpu)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, unix.Munmap(c.mem), unix.Close(c.fd))
	}
	p.cpus = nil
	if p.own != nil {
		errs = append(errs, p.own.Close())
		p.own = nil
	}
	return errors.Join(errs...)
}

func (p *Perf) ready() bool {
	for _, c := range p.cpus {
		if atomic.LoadUint64(c.head) != c.pos {
			return true
		}
	}
	return false
}

// Wait implements [Events].
func (p *Perf) Wait(ctx context.Context, timeout time.Duration) (bool, error) {
	if err := p.w.enter(); err != nil {
		return false, fmt.Errorf("wait for perf array %s: %w", p.m.name, err)
	}
	defer p.w.leave()
	ok, err := p.w.wait(ctx, timeout, p.ready)
	if errors.Is(err, os.ErrClosed) {
		err = fmt.Errorf("wait for perf array %s: %w", p.m.name, err)
	}
	return ok, err
}

// Drain implements [Events]. It goes over the CPUs, beginning with another one each time.
func (p *Perf) Drain(limit int, fn func(rec []byte) error) (n int, err error) {
	if !p.draining.CompareAndSwap(false, true) {
		return 0, fmt.Errorf("drain perf array %s: %w: a drain is running", p.m.name, ErrBusy)
	}
	defer p.draining.Store(false)
	if err := p.w.enter(); err != nil {
		return 0, fmt.Errorf("drain perf array %s: %w", p.m.name, err)
	}
	defer p.w.leave()
	if limit <= 0 {
		limit = math.MaxInt
	}
	p.next++
	for i := range p.cpus {
		c := p.cpus[(p.next+i)%len(p.cpus)]
		m, err := p.drainCPU(c, limit-n, fn)
		n += m
		if err != nil {
			return n, err
		}
		if n >= limit || p.stop.Load() {
			break
		}
	}
	return n, nil
}

// errNoRoom makes drainCPU keep a record.
var errNoRoom = errors.New("no room")

func (p *Perf) drainCPU(c *perfCPU, limit int, fn func([]byte) error) (n int, err error) {
	head := atomic.LoadUint64(c.head)
	mask := uint64(len(c.data) - 1)
	step := uint64(len(c.data)) / 8
	defer func() {
		if c.pos != c.given {
			atomic.StoreUint64(c.tail, c.pos) // a full barrier before and after
			c.given = c.pos
		}
	}()
	for n < limit && head-c.pos >= 8 && !p.stop.Load() {
		start := c.pos & mask
		kind := binary.NativeEndian.Uint32(c.data[start:])
		size := uint64(binary.NativeEndian.Uint16(c.data[start+6:]))
		if size < 8 || size > head-c.pos || size&7 != 0 {
			bad := head - c.pos
			c.pos = head // nothing behind it can be found
			return n, fmt.Errorf("drain perf array %s: %w: a record of %d bytes where %d are left", p.m.name, ErrSize, size, bad)
		}
		c.pos += size
		body := (start + 8) & mask
		switch kind {
		case unix.PERF_RECORD_LOST: // id, then the number of records lost before this one
			if size >= 24 {
				p.reported.Add(binary.NativeEndian.Uint64(c.data[(body+8)&mask:]))
			}
		case unix.PERF_RECORD_SAMPLE:
			if size < 12 {
				break
			}
			length := uint64(binary.NativeEndian.Uint32(c.data[body:]))
			if length > size-12 {
				return n, fmt.Errorf("drain perf array %s: %w: %d bytes in a record of %d", p.m.name, ErrSize, length, size)
			}
			if err := fn(p.contiguous(c, (body+4)&mask, length)); err != nil {
				if err == errNoRoom {
					c.pos -= size
					return n, err
				}
				return n + 1, err
			}
			n++
		}
		if c.pos-c.given >= step {
			atomic.StoreUint64(c.tail, c.pos)
			c.given = c.pos
		}
	}
	return n, nil
}

// contiguous returns part of a buffer, copied only if it wraps around the end.
func (p *Perf) contiguous(c *perfCPU, start, length uint64) []byte {
	if end := start + length; end <= uint64(len(c.data)) {
		return c.data[start:end:end]
	}
	if p.scratch == nil {
		p.scratch = make([]byte, math.MaxUint16)
	}
	b := p.scratch[:length:length]
	copy(b[copy(b, c.data[start:]):], c.data)
	return b
}

// count is what Lost returns while the reader is open.
func (p *Perf) count() uint64 {
	if p.m.loss.counters != nil && p.m.loss.why == nil {
		return p.m.lostNow()
	}
	var n uint64
	for _, c := range p.cpus {
		if !c.lost {
			return p.reported.Load()
		}
		var b [16]byte // the value, then what was lost
		if k, err := unix.Read(c.fd, b[:]); err == nil && k == len(b) {
			n += binary.NativeEndian.Uint64(b[8:])
		}
	}
	return n
}

// Lost implements [Events]. It is exact if [Perf.Counted] returns nil. Else it is what the kernel counts since the reader was
// opened: from Linux 6.0 all that found the buffer full, before only what it has told with a later record. After Close it
// keeps its last value.
func (p *Perf) Lost() uint64 {
	if p.w.enter() != nil {
		return p.lost.Load()
	}
	defer p.w.leave()
	return p.count()
}

// Counted returns nil if [Perf.Lost] is exact, else an error that says why; see [Map.Counted].
func (p *Perf) Counted() error { return p.m.Counted() }

// Map returns the map that is read.
func (p *Perf) Map() *Map { return p.m }

// Close implements [Events].
func (p *Perf) Close() error {
	p.stop.Store(true)
	return p.w.close()
}
