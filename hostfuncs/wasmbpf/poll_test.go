package wasmbpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// numbers makes the callback collect the numbers of the records.
func (p *puppet) numbers() *[]uint32 {
	got := new([]uint32)
	p.record = func(_ context.Context, data []byte, _ uint32) (int32, error) {
		*got = append(*got, binary.LittleEndian.Uint32(data))
		return 0, nil
	}
	return got
}

func TestPollDeliversEveryRecordOfTheRightRing(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		a, b := p.mapOf(obj, "ring_a"), p.mapOf(obj, "ring_b")
		got := p.numbers()
		p.emit(obj, 0, 20, 32, 100)
		p.emit(obj, 1, 3, 32, 200)
		for _, tc := range []struct {
			fd   uint64
			want []uint32
		}{
			{b, []uint32{200, 201, 202}},
			{b, nil},
			{a, []uint32{100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119}},
			{a, nil},
		} {
			*got = nil
			if n := p.poll(obj, tc.fd, onRecord); n != int64(len(tc.want)) || !slices.Equal(*got, tc.want) {
				t.Errorf("poll = %d with %v, want %v", n, *got, tc.want)
			}
		}
	})
}

func TestPollThroughTheExportedCallback(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		got := p.numbers()
		p.emit(obj, 0, 5, 32, 0)
		if n := p.call("poll_export", obj, fd, 7, pollBuffer, pollMax, 0); n != 5 || len(*got) != 5 {
			t.Errorf("poll = %d with %v, want 5 records", n, *got)
		}
	})
}

func TestPollPerfBuffer(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "perf")
		seen := 0
		p.record = func(_ context.Context, data []byte, size uint32) (int32, error) {
			if size < 8 || binary.LittleEndian.Uint64(data) != 0x1122334455667788 {
				t.Errorf("record % x", data)
			}
			seen++
			return -1, nil // enough
		}
		if got := p.call("attach", obj, p.str("emit_perf"), 0); got != 0 {
			t.Fatalf("attach = %d: %v", got, p.reported)
		}
		unix.Getpid() // what happens between the attach and the first poll is there
		if n := p.poll(obj, fd, onRecord); n != -1 || seen != 1 {
			t.Errorf("poll = %d with %d records, want the callback's -1 after 1", n, seen)
		}
	})
}

func TestPollNeverGivesMoreThanTheBufferHolds(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		fence := pollBuffer + pollMax
		p.in.Memory()[fence] = 0xa5
		p.record = func(_ context.Context, _ []byte, size uint32) (int32, error) {
			if size != pollMax {
				t.Errorf("size %d, want %d", size, pollMax)
			}
			return 0, nil
		}
		p.emit(obj, 0, 2, 300, 0)
		if n := p.poll(obj, fd, onRecord); n != 2 {
			t.Errorf("poll = %d, want 2", n)
		}
		if got := p.in.Memory()[fence]; got != 0xa5 {
			t.Errorf("the byte behind the buffer is %#x now", got)
		}
		if len(p.logged) != 1 || !strings.Contains(p.logged[0], "cut") {
			t.Errorf("logged %q, want one line about the cut", p.logged)
		}
	})
}

func TestPollStopsAtANegativeResult(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		p.emit(obj, 0, 5, 32, 0)
		var got []uint32
		p.record = func(_ context.Context, data []byte, _ uint32) (int32, error) {
			got = append(got, binary.LittleEndian.Uint32(data))
			return int32(1 - len(got)), nil // 0, then -1
		}
		if n := p.poll(obj, fd, onRecord); n != -1 || len(got) != 2 {
			t.Errorf("poll = %d after %d records, want -1 after 2", n, len(got))
		}
		rest := p.numbers()
		if n := p.poll(obj, fd, onRecord); n != 3 || !slices.Equal(*rest, []uint32{2, 3, 4}) {
			t.Errorf("the next poll = %d with %v, want the other three", n, *rest)
		}
	})
}

func TestPollCountsWhatTheKernelCouldNotStore(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		got := p.numbers()
		p.emit(obj, 0, 1000, 32, 0)
		n := p.poll(obj, fd, onRecord)
		p.call("close", obj)
		if n <= 0 || n >= 1000 || int64(len(*got)) != n {
			t.Fatalf("poll = %d with %d records; the ring of 4096 bytes should have lost some", n, len(*got))
		}
		want := fmt.Sprintf("lost %d records, %[1]d in all", 1000-n)
		if len(p.logged) != 1 || !strings.Contains(p.logged[0], want) {
			t.Errorf("logged %q, want one line with %q", p.logged, want)
		}
	})
}

func TestPollRefusesWhatIsNotThere(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		one, two := p.load("puppet.bpf.o"), p.load("puppet.bpf.o")
		fd, foreign, hash := p.mapOf(one, "ring_a"), p.mapOf(two, "ring_a"), p.mapOf(one, "hash")
		end := uint64(len(p.in.Memory()))
		for name, tc := range map[string]struct {
			fd, callback, buf, max uint64
			want                   unix.Errno
		}{
			"map of another object": {foreign, onRecord, pollBuffer, pollMax, unix.EBADFD},
			"no map":                {fd + 100, onRecord, pollBuffer, pollMax, unix.EBADFD},
			"standard output":       {1 << 20, onRecord, pollBuffer, pollMax, unix.EBADFD},
			"a hash":                {hash, onRecord, pollBuffer, pollMax, unix.EINVAL},
			"null callback":         {fd, 0, pollBuffer, pollMax, unix.EFAULT},
			"empty table slot":      {fd, 7, pollBuffer, pollMax, unix.EFAULT},
			"index out of range":    {fd, 8, pollBuffer, pollMax, unix.EFAULT},
			"index 2^32-1":          {fd, math.MaxUint32, pollBuffer, pollMax, unix.EFAULT},
			"callback's type":       {fd, wrongType, pollBuffer, pollMax, unix.EFAULT},
			"buffer outside":        {fd, onRecord, end - 8, pollMax, unix.EFAULT},
			"buffer wraps":          {fd, onRecord, math.MaxUint32, math.MaxUint32, unix.EFAULT},
			"no buffer":             {fd, onRecord, pollBuffer, 0, unix.EFAULT},
		} {
			if got := p.call("poll", one, tc.fd, tc.callback, 0, tc.buf, tc.max, 0); got != -int64(tc.want) {
				t.Errorf("%s: poll = %d, want %d", name, got, -int64(tc.want))
			}
		}
	})
}

func TestATrapInTheCallbackEndsTheGuest(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		p.emit(obj, 0, 2, 32, 0)
		_, err := p.try(context.Background(), "poll", obj, fd, onTrap, 0, pollBuffer, pollMax, 0)
		var trap *engine.Trap
		if !errors.As(err, &trap) || trap.Reason != engine.TrapUnreachable {
			t.Errorf("poll: %v, want the trap", err)
		}
	})
}

func TestPollFromInsideTheCallback(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		a, b := p.mapOf(obj, "ring_a"), p.mapOf(obj, "ring_b")
		p.emit(obj, 0, 2, 32, 0)
		p.emit(obj, 1, 3, 32, 100)
		var got []uint32
		p.record = func(_ context.Context, data []byte, _ uint32) (int32, error) {
			n := binary.LittleEndian.Uint32(data)
			got = append(got, n)
			if n == 0 {
				if again := p.poll(obj, a, onRecord); again != -int64(unix.EBUSY) {
					t.Errorf("poll of the same ring from its callback = %d, want -EBUSY", again)
				}
				if other := p.poll(obj, b, onRecord); other != 3 {
					t.Errorf("poll of the other ring from a callback = %d, want 3", other)
				}
			}
			return 0, nil
		}
		if n := p.poll(obj, a, onRecord); n != 2 || !slices.Equal(got, []uint32{0, 100, 101, 102, 1}) {
			t.Errorf("poll = %d with %v, want 2 with 0 100 101 102 1", n, got)
		}
	})
}

func TestTheCallbackMayCloseItsObject(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		p.emit(obj, 0, 5, 32, 0)
		p.record = func(context.Context, []byte, uint32) (int32, error) {
			if got := p.call("close", obj); got != 0 {
				t.Errorf("close = %d", got)
			}
			return 0, nil
		}
		if n := p.poll(obj, fd, onRecord); n != 1 {
			t.Errorf("poll = %d, want 1: there is nothing more after the close", n)
		}
		if got := p.poll(obj, fd, onRecord); got != -int64(unix.EINVAL) {
			t.Errorf("poll of the closed object = %d, want -EINVAL", got)
		}
	})
}

func TestMemoryMayGrowInTheCallback(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		got := p.numbers()
		p.emit(obj, 0, 20, 32, 0)
		before := len(p.in.Memory())
		if n := p.poll(obj, fd, onGrow); n != 20 || (*got)[19] != 19 {
			t.Errorf("poll = %d with %v", n, *got)
		}
		if len(p.in.Memory()) != before+20<<16 {
			t.Errorf("memory grew from %d to %d", before, len(p.in.Memory()))
		}
	})
}

func TestPollWaitsAndIsInterrupted(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "ring_a")
		started := time.Now()
		if n := p.call("poll", obj, fd, onRecord, 0, pollBuffer, pollMax, 30); n != 0 || time.Since(started) < 30*time.Millisecond {
			t.Errorf("an idle poll of 30 ms = %d after %s", n, time.Since(started))
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		n, err := p.try(ctx, "poll", obj, fd, onRecord, 0, pollBuffer, pollMax, uint64(uint32(0xffffffff)))
		if err != nil || n != -int64(unix.EINTR) {
			t.Errorf("an interrupted poll = %d, %v; want -EINTR", n, err)
		}
	})
}
