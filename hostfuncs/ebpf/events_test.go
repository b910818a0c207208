package ebpf

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// emit lets the program emit of the puppet object write records to ring 0 or 1.
func (p *puppet) emit(prog int32, ring, count, size, first uint32) {
	p.t.Helper()
	for i := range count {
		var order []byte
		for _, v := range []uint32{ring, size, first + i} {
			order = binary.NativeEndian.AppendUint64(order, uint64(v))
		}
		run := abi.TestRun{CtxIn: abi.Span{Ptr: p.put(order), Len: uint32(len(order))}}
		p.ok("program_test_run", prog, encode(p.t, &run))
	}
}

// events opens a reader over maps.
func (p *puppet) events(maps ...int32) int32 {
	p.t.Helper()
	ev := p.handle("events_open")
	for i, m := range maps {
		out := p.room(4)
		p.ok("events_add", ev, m, span{}, ptr(out.ptr))
		if got := p.u32(out.ptr); got != uint32(i) {
			p.t.Fatalf("source %d, want %d", got, i)
		}
	}
	return ev
}

// frame is one record of a batch.
type frame struct {
	abi.Frame
	data []byte
}

// frames takes a batch apart.
func (p *puppet) frames(buf span, b abi.Batch) (list []frame) {
	p.t.Helper()
	bytes := p.read(span{buf.ptr, b.Bytes})
	for len(bytes) > 0 {
		f := frame{Frame: abi.Frame{
			Size: binary.LittleEndian.Uint32(bytes), Source: binary.LittleEndian.Uint16(bytes[4:]), Flags: binary.LittleEndian.Uint16(bytes[6:]),
		}}
		f.data = bytes[8 : 8+f.Size]
		whole := (8 + f.Size + 7) &^ 7
		for _, pad := range bytes[8+f.Size : whole] {
			if pad != 0 {
				p.t.Errorf("padding of %d bytes is not zero: %v", f.Size, bytes[:whole])
			}
		}
		bytes = bytes[whole:]
		list = append(list, f)
	}
	if len(list) != int(b.Records) {
		p.t.Errorf("%d frames, batch says %d", len(list), b.Records)
	}
	return list
}

func TestEventsComeInBatchesWithExactLoss(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		emit, a, b := p.handle("object_program", o, "emit"), p.handle("object_map", o, "ring_a"), p.handle("object_map", o, "ring_b")
		ev := p.events(a, b)
		p.want(abi.BUSY, "events_add", ev, a, span{}, ptr(p.room(4).ptr))
		buf, out := p.room(8192), p.room(24)

		p.ok("events_read", ev, buf, uint64(0), out)
		if got := decode[abi.Batch](p, out); got != (abi.Batch{}) {
			t.Errorf("an idle read: %+v", got)
		}
		p.emit(emit, 0, 3, 13, 100)
		p.emit(emit, 1, 2, 64, 200)
		p.ok("events_read", ev, buf, uint64(time.Second), out)
		batch := decode[abi.Batch](p, out)
		var numbers []uint32
		for _, f := range p.frames(buf, batch) {
			n := binary.NativeEndian.Uint32(f.data)
			numbers = append(numbers, n)
			if wantSource, wantSize := uint16(n/200), map[uint32]uint32{0: 13, 1: 64}[n/200]; f.Source != wantSource || f.Size != wantSize {
				t.Errorf("record %d came from source %d with %d bytes", n, f.Source, f.Size)
			}
		}
		if len(numbers) != 5 || batch.Lost != 0 || batch.Flags != 0 {
			t.Errorf("got %v, %+v", numbers, batch)
		}

		// The ring has 4096 bytes: 56 records of 64 bytes and their headers.
		p.emit(emit, 0, 100, 64, 0)
		p.ok("events_read", ev, buf, uint64(0), out)
		batch = decode[abi.Batch](p, out)
		if batch.Records != 56 || batch.Lost != 44 {
			t.Errorf("got %d records and %d lost, want 56 and 44", batch.Records, batch.Lost)
		}
		stats := p.room(32)
		p.ok("events_stats", ev, 0, stats)
		if st := decode[abi.SourceStats](p, stats); st.Records != 59 || st.Lost != 44 || st.Bytes != 3*24+56*72 {
			t.Errorf("stats %+v", st)
		}
		p.want(abi.NOENT, "events_stats", ev, 2, stats)
	})
}

func TestEventsThatDoNotFitStay(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		emit, a := p.handle("object_program", o, "emit"), p.handle("object_map", o, "ring_a")
		ev := p.events(a)
		p.emit(emit, 0, 3, 200, 0)
		buf, out := p.room(4096), p.room(24)
		p.want(abi.MSGSIZE, "events_read", ev, span{buf.ptr, 100}, uint64(0), out)
		if got := decode[abi.Batch](p, out); got.Need != 208 || got.Records != 0 {
			t.Errorf("batch %+v, want need 208", got)
		}
		p.ok("events_read", ev, span{buf.ptr, 208 + 100}, uint64(0), out)
		if got := decode[abi.Batch](p, out); got.Records != 1 || got.Flags != abi.BatchMore {
			t.Errorf("batch %+v, want one record and more", got)
		}
		p.ok("events_read", ev, buf, uint64(0), out)
		if got := decode[abi.Batch](p, out); got.Records != 2 {
			t.Errorf("batch %+v, want the other two", got)
		}
		p.want(abi.FAULT, "events_read", ev, span{buf.ptr + 4, 100}, uint64(0), out)
		p.want(abi.INVAL, "events_read", p.handle("events_open"), buf, uint64(0), out)
	})
}

func TestEventsTruncateWhenAsked(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		emit, a := p.handle("object_program", o, "emit"), p.handle("object_map", o, "ring_a")
		ev := p.handle("events_open")
		p.ok("events_add", ev, a, encode(t, &abi.EventsOptions{Flags: abi.EventsTruncate}), ptr(p.room(4).ptr))
		p.emit(emit, 0, 1, 200, 7)
		buf, out := p.room(64), p.room(24)
		p.ok("events_read", ev, buf, uint64(0), out)
		f := p.frames(buf, decode[abi.Batch](p, out))
		if len(f) != 1 || f[0].Size != 56 || f[0].Flags != abi.FrameTruncated || binary.NativeEndian.Uint32(f[0].data) != 7 {
			t.Errorf("got %+v", f)
		}
	})
}

func TestWaitingForEventsEndsWithTheContext(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		ev := p.events(p.handle("object_map", o, "ring_a"))
		buf, out := p.room(64), p.room(24)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		forever := int64(-1)
		if no := p.try(ctx, "events_read", uint64(uint32(ev)), uint64(buf.ptr), 64, uint64(forever), uint64(out.ptr), 24); no != abi.INTR {
			t.Errorf("got %s, want INTR", no)
		}
		p.ok("events_read", ev, buf, uint64(time.Millisecond), out) // a time-out is no error
	})
}
