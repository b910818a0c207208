package bpf

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"
)

func newPoller(t testing.TB, events ...Events) *Poller {
	t.Helper()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, e := range events {
		if err := p.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// drainAll empties readers and returns how many records there were.
func drainAll(t testing.TB, events ...Events) (n uint64) {
	t.Helper()
	for _, e := range events {
		n += drain(t, e)
	}
	return n
}

func TestPollerWakesOnAnySource(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	ring, other, perf := openRing(t, o, "ring"), openRing(t, o, "other"), openPerf(t, o, 0)
	p := newPoller(t, ring, other, perf)
	ctx := context.Background()
	if ok, err := p.Wait(ctx, 0); ok || err != nil {
		t.Fatalf("nothing is there: got %v, %v", ok, err)
	}
	if ok, err := p.Wait(ctx, time.Millisecond); ok || err != nil {
		t.Fatalf("nothing is there: got %v, %v", ok, err)
	}
	for round := range 200 {
		send := []func(){
			func() { run(t, o, "output", 3) },
			func() { run(t, o, "output_other", 2) },
			func() { runPerf(t, o, 1) },
		}[round%3]
		var sent sync.WaitGroup
		if round%2 == 0 {
			send() // it is there before
		} else {
			sent.Go(send) // it comes while we wait
		}
		ok, err := p.Wait(ctx, 10*time.Second)
		if !ok || err != nil {
			t.Fatalf("round %d: got %v, %v", round, ok, err)
		}
		want := []uint64{3, 2, 1}[round%3]
		var got uint64
		if !waitFor(func() bool { got += drainAll(t, ring, other, perf); return got >= want }) || got != want {
			t.Fatalf("round %d: %d records, want %d", round, got, want)
		}
		sent.Wait()
	}
}

func TestPollerIsInterrupted(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := newPoller(t, openRing(t, o, "ring"), openPerf(t, o, 0))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if ok, err := p.Wait(ctx, -1); ok || err != cause {
			t.Errorf("got %v, %v", ok, err)
		}
	})
	waitFor(func() bool { _, err := p.Wait(context.Background(), 0); return errors.Is(err, ErrBusy) }) // it sleeps
	cancel(cause)
	wg.Wait()
	if ok, err := p.Wait(ctx, -1); ok || err != cause {
		t.Errorf("got %v, %v", ok, err)
	}

	wg.Go(func() {
		if ok, err := p.Wait(context.Background(), -1); ok || !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v, %v", ok, err)
		}
	})
	waitFor(func() bool { _, err := p.Wait(context.Background(), 0); return errors.Is(err, ErrBusy) })
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	_, err := p.Wait(context.Background(), 0)
	wantError(t, err, os.ErrClosed, "wait in poller")
}

func TestPollerTellsClosedSourcesOnce(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	ring, other := openRing(t, o, "ring"), openRing(t, o, "other")
	p := newPoller(t, ring, other)
	var wg sync.WaitGroup
	wg.Go(func() {
		if ok, err := p.Wait(context.Background(), -1); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
	})
	waitFor(func() bool { _, err := p.Wait(context.Background(), 0); return errors.Is(err, ErrBusy) })
	if err := ring.Close(); err != nil { // while it sleeps
		t.Error(err)
	}
	wg.Wait()
	if ok, err := p.Wait(context.Background(), 0); ok || err != nil {
		t.Errorf("again: got %v, %v", ok, err)
	}
	if err := other.Close(); err != nil { // while it does not
		t.Error(err)
	}
	if ok, err := p.Wait(context.Background(), -1); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if ok, err := p.Wait(context.Background(), 0); ok || err != nil {
		t.Errorf("again: got %v, %v", ok, err)
	}
	again := openRing(t, o, "ring")
	if err := p.Add(again); err != nil {
		t.Fatal(err)
	}
	run(t, o, "output", 1)
	if ok, err := p.Wait(context.Background(), 10*time.Second); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

// notOurs is a reader of somebody else.
type notOurs struct{ Events }

func TestReadersThatAPollerDoesNotTake(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	ring, other := openRing(t, o, "ring"), openRing(t, o, "other")
	p := newPoller(t, ring)
	wantError(t, p.Add(ring), ErrBusy, "added before")
	wantError(t, p.Add(notOurs{other}), ErrType, "notOurs")
	p.Remove(other) // was never added
	p.Remove(ring)
	run(t, o, "output", 1)
	if ok, err := p.Wait(context.Background(), 0); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if err := p.Add(ring); err != nil {
		t.Error(err)
	}
	if ok, err := p.Wait(context.Background(), 0); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, p.Add(ring), os.ErrClosed, "reader")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, p.Add(other), os.ErrClosed, "add to poller")
}

// Readers come and go while one goroutine waits.
func TestPollerWhileReadersComeAndGo(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := newPoller(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := p.Wait(ctx, time.Millisecond); err != nil {
				if err != context.Canceled {
					t.Errorf("got %v", err)
				}
				return
			}
		}
	})
	for range 100 {
		r, err := OpenRing(getMap(t, o, "ring"))
		if errors.Is(err, ErrBusy) {
			continue // the Wait still holds the one before
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Add(r); err != nil {
			t.Fatal(err)
		}
		run(t, o, "output", 1)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
}
