package bpf

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// spin uses the CPU until the program ran or the time is over.
func spin(t *testing.T, o *Object, limit time.Duration) func() {
	return func() {
		before := hits(t, o)
		for end := time.Now().Add(limit); time.Now().Before(end) && hits(t, o) == before; {
			for i := range 100_000 {
				sink = probed(i)
			}
		}
	}
}

func TestPerfEventSamples(t *testing.T) {
	// Sampling one process means the threads that it has now: stay on one of them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, target := range []Target{{}, {PID: os.Getpid(), Frequency: 999}} {
		o, p := loadHook(t, "trace", "sample")
		l := mustAttach(t, p, target)
		kerneltest.CoversProgram(t, p.Type())
		spin(t, o, 5*time.Second)()
		if hits(t, o) == 0 {
			t.Errorf("%s: no sample in 5 s", l)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		before := hits(t, o)
		spin(t, o, 100*time.Millisecond)()
		if got := hits(t, o); got != before {
			t.Errorf("%s: samples after Close: %d, then %d", l, before, got)
		}
	}
}

func TestPerfEventOfNoProcess(t *testing.T) {
	o, p := loadHook(t, "trace", "sample")
	_, err := o.Attach(p, Target{PID: 1 << 29})
	wantError(t, err, ErrTarget, "no process")
	_, err = o.Attach(p, Target{PID: -1})
	wantError(t, err, ErrTarget, "no process id")
	_, err = o.Attach(p, Target{Frequency: 1 << 40})
	wantError(t, err, ErrTarget, "perf_event_max_sample_rate")
}
