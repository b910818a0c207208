package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// run makes a program send n records, a few at a time: how long the verifier takes depends on how long its loop is.
func run(t testing.TB, o *Object, program string, n uint32) {
	t.Helper()
	const most = 50 // not to miss what every fifth record does
	for ; n > most; n -= most {
		runOnce(t, o, program, most)
	}
	runOnce(t, o, program, n)
}

// runOnce runs a raw tracepoint program with n as the first argument.
func runOnce(t testing.TB, o *Object, program string, n uint32) {
	t.Helper()
	p, err := o.Program(program)
	if err == nil {
		_, err = p.Kernel().Run(&ebpf.RunOptions{Context: struct{ N uint64 }{uint64(n)}})
	}
	if err != nil {
		t.Error(err) // not Fatal: some tests send from another goroutine
	}
}

func openRing(t testing.TB, o *Object, name string) *Ring {
	t.Helper()
	r, err := OpenRing(getMap(t, o, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// drain reads all that is there and returns the number of records.
func drain(t testing.TB, e Events) uint64 {
	t.Helper()
	n, err := e.Drain(0, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return uint64(n)
}

func TestRecordsComeInOrderAndWrapAround(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	want := uint64(0)
	for range 50 { // several times around a ring for 128 records
		run(t, o, "output", 33)
		n, err := r.Drain(0, func(rec []byte) error {
			if len(rec) != 24 {
				t.Fatalf("a record of %d bytes", len(rec))
			}
			if got := binary.NativeEndian.Uint64(rec); got != want {
				t.Fatalf("got record %d, want %d", got, want)
			}
			want++
			return nil
		})
		if err != nil || n != 33 {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if r.Lost() != 0 {
		t.Errorf("lost %d", r.Lost())
	}
}

func TestDiscardedRecordsAreSkipped(t *testing.T) {
	o := loadAlso(t, "events", "reserve")
	r := openRing(t, o, "ring")
	run(t, o, "reserve", 15) // 0 to 14; every fifth goes to the other ring, every third is discarded
	var got []uint64
	if _, err := r.Drain(0, func(rec []byte) error { got = append(got, binary.NativeEndian.Uint64(rec)); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []uint64{0, 1, 3, 6, 7, 10, 12, 13}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestDrainStopsAtTheLimitAndAtAnError(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	run(t, o, "output", 20)
	if n, err := r.Drain(5, func([]byte) error { return nil }); n != 5 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	stop := errors.New("stop")
	if n, err := r.Drain(0, func([]byte) error { return stop }); n != 1 || err != stop {
		t.Errorf("got %d, %v", n, err)
	}
	if n := drain(t, r); n != 14 {
		t.Errorf("got %d, want 14", n)
	}
}

func TestDrainCannotBeNested(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	run(t, o, "output", 2)
	n, err := r.Drain(0, func([]byte) error {
		_, err := r.Drain(0, func([]byte) error { return nil })
		return err
	})
	if n != 1 || !errors.Is(err, ErrBusy) {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestDrainSurvivesAPanic(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	run(t, o, "output", 3)
	func() {
		defer func() { _ = recover() }()
		_, _ = r.Drain(0, func([]byte) error { panic("guest") })
	}()
	if n := drain(t, r); n != 2 {
		t.Errorf("got %d, want 2", n)
	}
}

func TestSpaceComesBackDuringADrain(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	run(t, o, "output", 200) // full
	lost := r.Lost()
	seen := 0
	if _, err := r.Drain(0, func([]byte) error {
		if seen++; seen == 64 {
			run(t, o, "output", 20)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if r.Lost() != lost {
		t.Errorf("%d records found no space while half of the ring was consumed", r.Lost()-lost)
	}
	if n := drain(t, r); n != 20 {
		t.Errorf("got %d, want 20", n)
	}
}

func TestWaitReturnsForEveryReason(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	ctx := context.Background()
	if ok, err := r.Wait(ctx, 0); ok || err != nil {
		t.Errorf("empty, no time: got %v, %v", ok, err)
	}
	if ok, err := r.Wait(ctx, time.Millisecond); ok || err != nil {
		t.Errorf("empty: got %v, %v", ok, err)
	}
	var sending sync.WaitGroup
	sending.Go(func() { run(t, o, "output", 1) })
	defer sending.Wait()
	if ok, err := r.Wait(ctx, -1); !ok || err != nil {
		t.Errorf("record: got %v, %v", ok, err)
	}
	drain(t, r)
	why := errors.New("why")
	cancelled, cancel := context.WithCancelCause(ctx)
	go cancel(why)
	if ok, err := r.Wait(cancelled, -1); ok || err != why {
		t.Errorf("cancelled: got %v, %v", ok, err)
	}
	go r.Close()
	if ok, err := r.Wait(ctx, -1); ok || !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: got %v, %v", ok, err)
	}
	if _, err := r.Drain(0, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("drain after close: got %v", err)
	}
}

// Each round empties the ring and then waits for a record that is being sent at that moment: a wake-up that is missed between
// the last look and the sleep would hang here.
func TestNoWakeUpIsMissed(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	const rounds = 3000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			run(t, o, "output", 1)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for got := uint64(0); got+r.Lost() < rounds; {
		if _, err := r.Wait(ctx, -1); err != nil {
			t.Fatalf("after %d records: %v", got, err)
		}
		got += drain(t, r)
	}
	<-done
}

func TestCloseInsideADrain(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	run(t, o, "output", 3)
	n, err := r.Drain(0, func(rec []byte) error {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		_ = rec[0] // still mapped
		return nil
	})
	if n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestRingOutlivesItsObjectAndHasOneReader(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	if _, err := OpenRing(getMap(t, o, "ring")); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	run(t, o, "output", 300)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if n := drain(t, r); n+r.Lost() != 300 {
		t.Errorf("read %d, lost %d", n, r.Lost())
	}
	if _, err := OpenRing(getMap(t, o, "ring")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestEventsAreOpenedByType(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	for name, want := range map[string]error{"ring": nil, "perf": nil, ".bss": ErrType} {
		e, err := getMap(t, o, name).OpenEvents()
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if err == nil {
			e.Close()
		}
	}
}

// Two Map values can mean the same map of the kernel.
func TestAMapOfTwoObjectsHasOneReader(t *testing.T) {
	first := load(t, "events", LoadOptions{})
	second := load(t, "events", LoadOptions{Maps: map[string]*Map{"ring": getMap(t, first, "ring")}})
	r := openRing(t, first, "ring")
	_, err := OpenRing(getMap(t, second, "ring"))
	wantError(t, err, ErrBusy, "it has a reader")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	openRing(t, second, "ring")
}
