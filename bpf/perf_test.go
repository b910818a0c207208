package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"
	"time"
)

func openPerf(t testing.TB, o *Object, bytes int) *Perf {
	t.Helper()
	p, err := OpenPerf(getMap(t, o, "perf"), PerfOptions{BytesPerCPU: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Records of 40 bytes do not divide a page, so that some wrap around its end.
func TestPerfRecordsAreWhole(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := openPerf(t, o, 1)
	seen := make(map[uint64]bool)
	for range 40 {
		runPerf(t, o, 60)
		if _, err := p.Drain(0, func(rec []byte) error {
			if len(rec) < 24 || len(rec) > 31 {
				t.Fatalf("a record of %d bytes", len(rec))
			}
			n := binary.NativeEndian.Uint64(rec)
			if n >= 2400 || seen[n] || binary.NativeEndian.Uint64(rec[8:]) != 0 {
				t.Fatalf("record %d, seen %v", n, seen[n])
			}
			seen[n] = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2400 || p.Lost() != 0 {
		t.Errorf("read %d, lost %d", len(seen), p.Lost())
	}
}

func TestPerfDrainStopsAtTheLimitAndCannotBeNested(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := openPerf(t, o, 0)
	runPerf(t, o, 20)
	if n, err := p.Drain(5, func([]byte) error { return nil }); n != 5 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	n, err := p.Drain(0, func([]byte) error {
		_, err := p.Drain(0, nil)
		return err
	})
	if n != 1 || !errors.Is(err, ErrBusy) {
		t.Errorf("got %d, %v", n, err)
	}
	if n := drain(t, p); n != 14 {
		t.Errorf("got %d", n)
	}
	if _, err := OpenPerf(getMap(t, o, "perf"), PerfOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
}

func TestPerfWaitReturnsForEveryReason(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := openPerf(t, o, 0)
	ctx := context.Background()
	if ok, err := p.Wait(ctx, time.Millisecond); ok || err != nil {
		t.Errorf("empty: got %v, %v", ok, err)
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	for range 200 { // a wake-up that is missed would hang
		sending.Go(func() {
			if prog, err := o.Program("perf_one"); err == nil {
				_, _, _ = prog.Kernel().Test(make([]byte, 64))
			}
		})
		if ok, err := p.Wait(ctx, -1); !ok || err != nil {
			t.Fatalf("record: got %v, %v", ok, err)
		}
		if n := drain(t, p); n != 1 {
			t.Fatalf("got %d records", n)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	go cancel()
	if ok, err := p.Wait(cancelled, -1); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, %v", ok, err)
	}
	go p.Close()
	if ok, err := p.Wait(ctx, -1); ok || !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: got %v, %v", ok, err)
	}
}

func TestPerfOutlivesItsObject(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := openPerf(t, o, 0)
	runPerf(t, o, 10)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if n := drain(t, p); n != 10 || p.Lost() != 0 {
		t.Errorf("read %d, lost %d", n, p.Lost())
	}
}

func TestPerfSizesAreChecked(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	for _, n := range []int{-1, 1<<30 + 1} {
		if _, err := OpenPerf(getMap(t, o, "perf"), PerfOptions{BytesPerCPU: n}); !errors.Is(err, ErrSize) {
			t.Errorf("%d: got %v", n, err)
		}
	}
	if _, err := OpenPerf(getMap(t, o, "ring"), PerfOptions{}); !errors.Is(err, ErrType) {
		t.Errorf("got %v", err)
	}
}
