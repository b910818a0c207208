package bpf

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// sent reads a counter of the events object: how many records its programs tried to send.
func sent(t testing.TB, o *Object) (ring, other, perf uint64) {
	t.Helper()
	m := getMap(t, o, ".bss")
	v := make([]byte, m.ValueSize())
	if err := m.LookupInto(make([]byte, 4), v, 0); err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(v), binary.NativeEndian.Uint64(v[8:]), binary.NativeEndian.Uint64(v[16:])
}

// The property: what was read and what was lost is what was sent, exactly, for each way of sending.
func TestEveryLostRecordIsCounted(t *testing.T) {
	for _, program := range []string{"output", "dynptr", "subprogram", "chosen", "argument"} {
		t.Run(program, func(t *testing.T) {
			s := open(t, "events")
			if err := s.SetLoad(program, true); err != nil { // two of them need a newer kernel than the others
				t.Fatal(err)
			}
			o, err := s.Load(LoadOptions{})
			kerneltest.SkipIfUnsupported(t, err)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			ring, other := openRing(t, o, "ring"), openRing(t, o, "other")
			var readRing, readOther uint64
			for _, n := range []uint32{1, 100, 1000, 0, 255, 77} {
				run(t, o, program, n)
				if n != 100 { // let some runs meet a full ring
					readRing += drain(t, ring)
					readOther += drain(t, other)
				}
			}
			sentRing, sentOther, _ := sent(t, o)
			if got := readRing + ring.Lost(); got != sentRing {
				t.Errorf("ring: read %d and lost %d of %d", readRing, ring.Lost(), sentRing)
			}
			if got := readOther + other.Lost(); got != sentOther {
				t.Errorf("other: read %d and lost %d of %d", readOther, other.Lost(), sentOther)
			}
			if ring.Lost()+other.Lost() == 0 {
				t.Error("nothing was lost, so nothing was tested")
			}
			if err := errors.Join(ring.Counted(), other.Counted()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Discarded records take space but are no loss. The compiler joins the two reservations into one call with either ring.
func TestReservationsThatFailAreCounted(t *testing.T) {
	o := loadAlso(t, "events", "reserve")
	ring, other := openRing(t, o, "ring"), openRing(t, o, "other")
	run(t, o, "reserve", 1000)
	sentRing, sentOther, _ := sent(t, o)
	// A record of 24 bytes takes 32 of the ring, which never becomes quite full: 127 of 4096, 200 of 8192 fit.
	if sentRing != 800 || sentOther != 200 || ring.Lost() != 800-127 || other.Lost() != 0 {
		t.Errorf("sent %d and %d, lost %d and %d", sentRing, sentOther, ring.Lost(), other.Lost())
	}
	if err := ring.Counted(); err != nil {
		t.Error(err)
	}
}

func TestPerfLossesAreCounted(t *testing.T) {
	for _, opts := range []LoadOptions{{}, {NoLossCount: true}} {
		o := load(t, "events", opts)
		m := getMap(t, o, "perf")
		p, err := OpenPerf(m, PerfOptions{BytesPerCPU: 4096})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var read uint64
		for range 3 {
			runPerf(t, o, 500)
			read += drain(t, p)
		}
		_, _, want := sent(t, o)
		if want != 1500 || read+p.Lost() != want || p.Lost() == 0 {
			t.Errorf("read %d and lost %d of %d", read, p.Lost(), want)
		}
		lost := p.Lost()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if p.Lost() != lost {
			t.Errorf("after close: lost %d, before %d", p.Lost(), lost)
		}
		if got := errors.Is(p.Counted(), ErrNotCounted); got != opts.NoLossCount {
			t.Errorf("counted: %v", p.Counted())
		}
	}
}

// runPerf sends n records to the perf array.
func runPerf(t testing.TB, o *Object, n uint32) {
	t.Helper()
	p := getProgram(t, o, "perf_one")
	for range n { // not Repeat: a signal ends such a run early, and then the library begins it again
		if _, err := p.Kernel().Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsBeforeThePerfReaderAreLost(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	runPerf(t, o, 10)
	for range 2 { // the second reader starts anew
		p, err := OpenPerf(getMap(t, o, "perf"), PerfOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if p.Lost() != 10 {
			t.Errorf("lost %d, want 10", p.Lost())
		}
		p.Close()
		runPerf(t, o, 10)
	}
}

func TestASecondReaderCountsAnew(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	run(t, o, "output", 1000)
	drain(t, r)
	lost := r.Lost()
	r.Close()
	if r.Lost() != lost || lost == 0 {
		t.Errorf("after close %d, before %d", r.Lost(), lost)
	}
	r = openRing(t, o, "ring")
	if r.Lost() != 0 {
		t.Errorf("a new reader begins with %d", r.Lost())
	}
	run(t, o, "output", 1000)
	if n := drain(t, r); n+r.Lost() != 1000 {
		t.Errorf("read %d, lost %d", n, r.Lost())
	}
}

func TestNoLossCountLeavesProgramsAlone(t *testing.T) {
	o := load(t, "events", LoadOptions{NoLossCount: true})
	r := openRing(t, o, "ring")
	run(t, o, "output", 1000)
	if r.Lost() != 0 || !errors.Is(r.Counted(), ErrNotCounted) {
		t.Errorf("lost %d, counted %v", r.Lost(), r.Counted())
	}
}

func TestLongLoopsAreCountedWithoutABranch(t *testing.T) {
	o := load(t, "long", LoadOptions{})
	r := openRing(t, o, "ring")
	runOnce(t, o, "output", 4000)
	if n := drain(t, r); n+r.Lost() != 4000 || r.Counted() != nil {
		t.Errorf("read %d, lost %d; %v", n, r.Lost(), r.Counted())
	}
}
