package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bowline-edge/bowline/bpf"
)

// maxSources bounds the sources of one reader.
const maxSources = 1024

// Events reads several ring buffers and perf arrays.
type Events struct {
	poller  *bpf.Poller
	sources []*source
	next    int // the source to begin with, so that a busy one does not starve the others
}

// reader is what a source reads from: *bpf.Ring or *bpf.Perf.
type reader interface {
	bpf.Events
	ReadInto(dst []byte, source uint16) (used, records int, err error)
	Ready() bool
	Counted() error
}

type source struct {
	r        reader
	truncate bool
	inexact  error
	records  uint64
	bytes    uint64
	lost     uint64 // as told by the last read
	give     func() // what it was charged
}

// OpenEvents makes a reader without sources.
func (s *Session) OpenEvents() (int32, error) {
	return s.opened(cost{files: waiterFiles}, func() (any, func() error, error) {
		p, err := bpf.NewPoller()
		if err != nil {
			return nil, nil, err
		}
		e := &Events{poller: p}
		return e, e.close, nil
	})
}

func (e *Events) close() error {
	errs := []error{e.poller.Close()}
	for _, src := range e.sources {
		errs = append(errs, src.r.Close())
		src.give()
	}
	return errors.Join(errs...)
}

// Events finds a reader.
func (s *Session) Events(handle int32) (*Events, error) {
	return get[*Events](s, handle, "event reader")
}

// SourceOptions are the options of one source.
type SourceOptions struct {
	// Truncate cuts records that do not fit into the buffer.
	Truncate bool
	// BufferSize is the bytes for each CPU of a perf array. Zero means the default.
	BufferSize uint32
}

// AddSource adds a map to a reader and answers the source's number. inexact says why its losses are not counted exactly, nil if they
// are. The buffers of a perf array are charged like maps.
func (s *Session) AddSource(e *Events, m *Map, o SourceOptions) (number uint32, inexact, err error) {
	if len(e.sources) == maxSources {
		return 0, nil, fmt.Errorf("add %s to a reader: %w: it has %d sources", m.Name(), ErrTooMany, maxSources)
	}
	r, give, err := s.openReader(m, o)
	if err != nil {
		return 0, nil, err
	}
	if err := e.poller.Add(r); err != nil {
		err = errors.Join(err, r.Close())
		give()
		return 0, nil, err
	}
	src := &source{r: r, truncate: o.Truncate, inexact: r.Counted(), give: give}
	e.sources = append(e.sources, src)
	return uint32(len(e.sources) - 1), src.inexact, nil
}

// Batch is what a read did.
type Batch struct {
	// Bytes and Records are what was written, Lost what the kernel could not store since the last read.
	Bytes, Records int
	Lost           uint64
	// More says that records are waiting, Inexact that some source's losses are not counted exactly.
	More, Inexact bool
}

// Read waits for records and writes as many as fit into buf. It returns without any when the time-out passes, or when records
// were lost meanwhile. A negative timeout means no limit. The error is [bpf.RecordSizeError] if the very first does not fit, and
// [ErrInterrupted] when ctx is done.
func (e *Events) Read(ctx context.Context, buf []byte, timeout time.Duration) (Batch, error) {
	if len(e.sources) == 0 {
		return Batch{}, fmt.Errorf("read events: %w: the reader has no source; add one first", ErrArgument)
	}
	b, err := e.drain(buf)
	if err != nil || b.Records > 0 || b.Lost > 0 || timeout == 0 {
		return b, err
	}
	_, err = e.poller.Wait(ctx, timeout)
	switch {
	case ctx.Err() != nil:
		return Batch{}, ErrInterrupted
	case err != nil:
		return Batch{}, err
	}
	return e.drain(buf)
}

// drain takes what is there from every source in turn.
func (e *Events) drain(buf []byte) (Batch, error) {
	var b Batch
	var need error
	n := len(e.sources)
	for i := range n {
		at := e.next + i
		if at >= n {
			at -= n
		}
		src := e.sources[at]
		used, records, err := src.read(buf[b.Bytes:], uint16(at))
		b.Bytes += used
		b.Records += records
		if records > 0 && !b.More {
			b.More = src.r.Ready()
		}
		if err != nil && errors.Is(err, bpf.ErrRecordSize) {
			b.More, need = true, err
			err = nil
		}
		if err != nil {
			if b.Records > 0 {
				break // the guest gets these first; the error comes again
			}
			return b, err
		}
		if lost := src.r.Lost(); lost != src.lost {
			b.Lost += lost - src.lost
			src.lost = lost
		}
		b.Inexact = b.Inexact || src.inexact != nil
	}
	if e.next++; e.next >= n {
		e.next = 0
	}
	if b.Records == 0 && b.Lost == 0 && need != nil {
		return b, need
	}
	return b, nil
}

// read copies what is there of one source.
func (s *source) read(dst []byte, number uint16) (used, records int, err error) {
	used, records, err = s.r.ReadInto(dst, number)
	if s.truncate && err != nil && records == 0 && errors.Is(err, bpf.ErrRecordSize) {
		used, records, err = s.readCut(dst, number)
	}
	s.records += uint64(records)
	s.bytes += uint64(used)
	return used, records, err
}

// Stats are the totals of one source.
type Stats struct {
	Records, Bytes, Lost uint64
	Inexact              bool
}

// Stats answers the totals of one source; ok is false if there is none of that number.
func (e *Events) Stats(number uint32) (st Stats, ok bool) {
	if uint64(number) >= uint64(len(e.sources)) {
		return Stats{}, false
	}
	src := e.sources[number]
	return Stats{Records: src.records, Bytes: src.bytes, Lost: src.r.Lost(), Inexact: src.inexact != nil}, true
}
