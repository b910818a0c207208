package node_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/node"
)

// witness is a plugin beside others in this process: it reports each of the calls that the test makes, once a millisecond. It sees
// what others do to it: none may be missing, and each says how long it took from the kernel through the plugin to the host.
type witness struct {
	mark    uint32
	stop    context.CancelFunc
	ended   chan struct{}
	callers sync.WaitGroup

	// mu guards the fields that follow.
	mu      sync.Mutex
	called  uint32          // calls that were made
	latency []time.Duration // of each call, in their order
	rest    []byte          // a record that has not come wholly
	wrong   string          // what was not in order
	stderr  text
	changed chan struct{} // closed at the next record
}

// every is how often the witness is called.
const every = time.Millisecond

// startWitness runs the witness on an engine until the test ends.
func startWitness(t *testing.T, engine, cache string) *witness {
	t.Helper()
	w := &witness{mark: 0x40 | uint32(unix.Getpid())&0x3f, ended: make(chan struct{}), changed: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	ready := make(chan struct{})
	w.stderr.on("ready\n", func() { close(ready) })
	var code int
	var err error
	go func() {
		defer close(w.ended)
		code, err = node.Run(ctx, node.RunOptions{
			File: "testdata/witness.wasm", Args: []string{strconv.Itoa(int(w.mark))}, Engine: engine, CacheDir: cache,
			Policy: parsePolicy(t, "version: 1\nallow: [\"tracepoint:syscalls/sys_enter_getpgid\", \"share:secrets\"]"),
			Stdout: w, Stderr: &w.stderr,
		})
	}()
	t.Cleanup(func() {
		stop()
		<-w.ended
		w.callers.Wait()
		if err != nil || code != node.ExitInterrupted || w.stderr.String() != "ready\n" {
			t.Errorf("the witness ended with code %d, error %v, and printed %q", code, err, w.stderr.String())
		}
	})
	select {
	case <-ready:
	case <-w.ended:
		t.Fatalf("the witness does not start: code %d, %v\n%s", code, err, w.stderr.String())
	}
	w.callers.Go(func() { w.call(ctx) })
	return w
}

// call makes the calls.
func (w *witness) call(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.mu.Lock()
		w.called++
		n := w.called
		w.mu.Unlock()
		_, _ = unix.Getpgid(int(int32(w.mark<<24 | n&0xffffff)))
	}
}

// Write takes the records that the plugin prints.
func (w *witness) Write(b []byte) (int, error) {
	now := monotonic()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, b...)
	for ; len(w.rest) >= 16; w.rest = w.rest[16:] {
		ns, seq := binary.NativeEndian.Uint64(w.rest), binary.NativeEndian.Uint32(w.rest[8:])
		if want := uint32(len(w.latency)) + 1; seq != want && w.wrong == "" {
			w.wrong = fmt.Sprintf("record %d came where %d should be", seq, want)
		}
		w.latency = append(w.latency, now-time.Duration(ns))
	}
	close(w.changed)
	w.changed = make(chan struct{})
	return len(b), nil
}

// now answers how many calls were made.
func (w *witness) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.called)
}

// await waits until the record of the n-th call is there.
func (w *witness) await(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		changed, got := w.changed, len(w.latency)
		w.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-w.ended:
			t.Fatal("the witness has ended")
		case <-timeout:
			t.Fatalf("the witness has reported %d calls, of %d", got, n)
		}
	}
}

// figures are the median and the longest of some latencies.
type figures struct{ median, longest time.Duration }

// between answers the latencies of the calls from the n-th to the m-th.
func (w *witness) between(t *testing.T, from, to int) figures {
	t.Helper()
	w.await(t, to)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong != "" {
		t.Fatalf("the witness lost records: %s", w.wrong)
	}
	l := slices.Sorted(slices.Values(w.latency[from:to]))
	return figures{l[len(l)/2], l[len(l)-1]}
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// text keeps the begin of what is written to it.
type text struct {
	// mu guards the fields that follow.
	mu      sync.Mutex
	kept    []byte
	written int
	wait    string
	then    func()
}

var _ io.Writer = (*text)(nil)

// on calls f once, when the text has come.
func (x *text) on(what string, f func()) { x.wait, x.then = what, f }

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.written += len(b)
	x.kept = append(x.kept, b[:min(len(b), 1<<16-len(x.kept))]...)
	if x.then != nil && x.wait == string(x.kept) {
		x.then()
		x.then = nil
	}
	return len(b), nil
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return string(x.kept)
}
