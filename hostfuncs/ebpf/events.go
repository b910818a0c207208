package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var eventsFunctions = []function{
	{"events_open", (*instance).eventsOpen},
	{"events_add", (*instance).eventsAdd},
	{"events_read", (*instance).eventsRead},
	{"events_stats", (*instance).eventsStats},
}

// events takes a handle of a reader.
func (i *instance) events(c *call) *session.Events {
	e, err := i.s.Events(c.i32())
	if err != nil && c.ok() {
		c.err = err
	}
	return e
}

// eventsOpen is events_open(out).
func (i *instance) eventsOpen(c *call) error {
	out := c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenEvents()
	return putHandle(out, h, err)
}

// eventsAdd is events_add(events, map, options, out_source). That the losses of the source are not counted exactly is no failure, but
// last_error says why.
func (i *instance) eventsAdd(c *call) error {
	e, m := i.events(c), i.mapHandle(c)
	var o abi.EventsOptions
	structure(c, &o, "events_options")
	out := c.outU32()
	if !c.ok() {
		return nil
	}
	if err := errors.Join(flags("events_options", uint64(o.Flags), abi.EventsTruncate), zero("events_options.reserved", o.Reserved)); err != nil {
		return err
	}
	number, inexact, err := i.s.AddSource(e, m, session.SourceOptions{Truncate: o.Flags&abi.EventsTruncate != 0, BufferSize: o.BufferSize})
	if err != nil {
		i.env.Note("read events of "+m.Name(), err)
		return err
	}
	if inexact != nil {
		i.last = inexact
	}
	putU32(out, number)
	return nil
}

// eventsRead is events_read(events, buf, timeout, out).
// A negative number of ns means no limit.
func (i *instance) eventsRead(c *call) error {
	e := i.events(c)
	ptr := c.u32()
	buf, timeout, room := c.span(ptr, c.u32(), "buffer"), c.i64(), c.room("batch")
	if ptr%8 != 0 {
		c.fail(abi.FAULT, "buffer at %#x is not aligned to 8 bytes", ptr)
	}
	if !c.ok() {
		return nil
	}
	b, err := e.Read(c.ctx, buf, time.Duration(timeout))
	var need uint32
	if err != nil {
		need, err = tooLarge(err, len(buf))
	}
	putBatch(room, b, need)
	return err
}

// tooLarge says how much room the next record needs, if that is what an error is about.
func tooLarge(err error, room int) (need uint32, _ error) {
	var large *bpf.RecordSizeError
	if !errors.As(err, &large) {
		return 0, err
	}
	return uint32(large.Need), &fault{abi.MSGSIZE, fmt.Sprintf("%v, the buffer has %d", large, room)}
}

// batchSize is the length of structure batch.
const batchSize = 24

// putBatch writes structure batch without allocating.
func putBatch(room []byte, b session.Batch, need uint32) {
	var out [batchSize]byte
	var f uint32
	if b.More {
		f |= abi.BatchMore
	}
	if b.Inexact {
		f |= abi.BatchInexact
	}
	binary.LittleEndian.PutUint32(out[0:], uint32(b.Bytes))
	binary.LittleEndian.PutUint32(out[4:], uint32(b.Records))
	binary.LittleEndian.PutUint64(out[8:], b.Lost)
	binary.LittleEndian.PutUint32(out[16:], f)
	binary.LittleEndian.PutUint32(out[20:], need)
	clear(room[copy(room, out[:]):])
}

// eventsStats is events_stats(events, source, out).
func (i *instance) eventsStats(c *call) error {
	e, number, room := i.events(c), c.u32(), c.room("source_stats")
	if !c.ok() {
		return nil
	}
	st, ok := e.Stats(number)
	if !ok {
		return fmt.Errorf("source %d: %w: the reader has fewer", number, bpf.ErrNotFound)
	}
	out := abi.SourceStats{Records: st.Records, Bytes: st.Bytes, Lost: st.Lost}
	if st.Inexact {
		out.Flags = abi.BatchInexact
	}
	return putStruct(room, &out)
}
