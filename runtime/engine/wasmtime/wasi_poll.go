//go:build wasmtime && cgo

package wasmtime

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// The layouts of poll_oneoff, from the description of WASI preview 1.
const (
	subscriptionSize = 48
	eventSize        = 32

	eventClock = 0
	eventRead  = 1
	eventWrite = 2

	clockRealtime  = 0
	clockMonotonic = 1
	clockAbsolute  = 1 // flag
)

// subscription is one thing that a guest waits for.
type subscription struct {
	userdata uint64
	kind     byte
	wait     time.Duration // of a clock, from now on
	errno    uint16
}

func readSubscription(b []byte) subscription {
	s := subscription{userdata: binary.LittleEndian.Uint64(b), kind: b[8]}
	switch s.kind {
	case eventClock:
		s.clock(binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint64(b[24:]),
			binary.LittleEndian.Uint16(b[40:]))
	case eventRead, eventWrite:
	default:
		s.errno = wasiInval
	}
	return s
}

func (s *subscription) clock(id uint32, timeout uint64, flags uint16) {
	var now uint64
	switch {
	case id != clockRealtime && id != clockMonotonic:
		s.errno = wasiInval
		return
	case flags&clockAbsolute != 0:
		now = clockNow(id)
	}
	if timeout > now {
		s.wait = time.Duration(min(timeout-now, math.MaxInt64))
	}
}

// clockNow is what clock_time_get answers.
func clockNow(id uint32) uint64 {
	clock := int32(unix.CLOCK_REALTIME)
	if id == clockMonotonic {
		clock = unix.CLOCK_MONOTONIC
	}
	var ts unix.Timespec
	if unix.ClockGettime(clock, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano())
}

// ready tells whether there is no need to wait. Files and streams are always
// ready: a read from standard input may block then.
func (s *subscription) ready() bool { return s.errno != 0 || s.kind != eventClock || s.wait == 0 }

func (s *subscription) put(b []byte) {
	clear(b)
	binary.LittleEndian.PutUint64(b, s.userdata)
	binary.LittleEndian.PutUint16(b[8:], s.errno)
	b[10] = s.kind
	if s.errno == 0 && s.kind != eventClock {
		binary.LittleEndian.PutUint64(b[16:], 1)
	}
}

// pollOneoff waits for the first of several things. When Stop closes, the wait is
// over as if the nearest clock had run out.
func pollOneoff(_ context.Context, in *Instance, stack []uint64) (uint64, error) {
	mem := in.Memory()
	subs, ok := view(mem, stack[0], subscriptionSize*stack[2])
	events, ok2 := view(mem, stack[1], eventSize*stack[2])
	count, ok3 := view(mem, stack[3], 4)
	if !ok || !ok2 || !ok3 {
		return wasiFault, nil
	}
	if len(subs) == 0 {
		return wasiInval, nil
	}
	wait := time.Duration(math.MaxInt64)
	for b := subs; len(b) > 0; b = b[subscriptionSize:] {
		s := readSubscription(b)
		if s.ready() {
			wait = 0
			break
		}
		wait = min(wait, s.wait)
	}
	if wait > 0 {
		in.wasi.sleep(wait)
	}
	n := uint32(0)
	for ; len(subs) > 0; subs = subs[subscriptionSize:] {
		s := readSubscription(subs)
		if s.ready() || wait > 0 && s.wait <= wait {
			s.put(events[n*eventSize:])
			n++
		}
	}
	binary.LittleEndian.PutUint32(count, n)
	return wasiSuccess, nil
}

func (w *wasi) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.cfg.Stop:
	}
}
