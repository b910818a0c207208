package runtime_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// testHost offers the import module "test" of busy.wat.
type testHost struct{ work func() }

var (
	workType     = engine.FuncType{}
	callBackType = engine.FuncType{Params: []engine.ValueType{engine.I32, engine.I32}}
)

func (testHost) Offers() []engine.Import {
	return []engine.Import{{Module: "test", Name: "work", Type: workType}, {Module: "test", Name: "call_back", Type: callBackType}}
}

func (h testHost) Bind(engine.Env) (engine.Bound, error) { return h, nil }

func (testHost) Close() error { return nil }

func (h testHost) Func(imp engine.Import) engine.HostFunc {
	f := engine.HostFunc{Module: imp.Module, Name: imp.Name, Type: imp.Type}
	f.Call = func(context.Context, engine.Instance, []uint64) error {
		h.work()
		return nil
	}
	if imp.Name == "call_back" {
		f.Call = callBack
	}
	return f
}

// callBack calls a function of the table again and again.
func callBack(ctx context.Context, in engine.Instance, stack []uint64) error {
	index, times := uint32(stack[0]), stack[1]
	for range times {
		f, err := in.TableFunc(index, engine.FuncType{})
		if err != nil {
			return err
		}
		if err := f.Call(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// burn takes CPU time on the calling thread.
func burn(d time.Duration) {
	cpu := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
			panic(err)
		}
		return time.Duration(ts.Nano())
	}
	for from := cpu(); cpu() < from+d; {
	}
}

func onEnginesWithTestHost(t *testing.T, work func(), test func(t *testing.T, m *runtime.Module)) {
	t.Helper()
	onLimitedEngines(t, runtime.Options{Providers: []engine.Provider{testHost{work}}}, func(t *testing.T, rt *runtime.Runtime) {
		test(t, load(t, rt, "busy"))
	})
}

func TestAGuestThatDoesNotCallTheHostIsStopped(t *testing.T) {
	const limit = 10 * time.Millisecond
	onEnginesWithTestHost(t, func() {}, func(t *testing.T, m *runtime.Module) {
		var usage runtime.Usage
		_, err := m.Run(t.Context(), runtime.Config{Args: []string{"-"}, CPUPerCall: limit, Usage: &usage})
		wantLimit(t, err, "cpu-per-call", "10ms")
		if err.Error() != `used 10ms of CPU without calling the host; if it needs more, raise "cpu-per-call" in the limits of the policy (or run --limit cpu-per-call=N)` {
			t.Errorf("the text is %q", err)
		}
		if usage.CPU < limit || usage.CPU > limit*5 {
			t.Errorf("it was stopped after %s of CPU time, want a little more than %s", usage.CPU, limit)
		}
		if usage.Memory != 64<<10 || usage.Slept != 0 {
			t.Errorf("used %+v, want one page of memory and no sleep", usage)
		}
	})
}

func TestAGuestThatCallsTheHostNowAndThenIsNot(t *testing.T) {
	for name, what := range map[string]string{
		"writes": "w", "seeks": "s", "opens": "o", "random": "r", "clock": "c", "yields": "y", "host function": "h", "called back": "b",
	} {
		t.Run(name, func(t *testing.T) {
			onEnginesWithTestHost(t, func() {}, func(t *testing.T, m *runtime.Module) {
				var usage runtime.Usage
				code, err := m.Run(t.Context(), runtime.Config{
					Args: []string{what}, CPUPerCall: 15 * time.Millisecond, Usage: &usage,
					Dirs: []engine.Dir{{Host: t.TempDir(), Guest: "/"}},
				})
				if code != 9 || err != nil {
					t.Errorf("run: %d, %v; want 9", code, err)
				}
				if usage.CPU < 20*time.Millisecond {
					t.Errorf("it took %s of CPU time, which is too little to test the limit", usage.CPU)
				}
			})
		})
	}
}

func TestAnEndlessCallbackIsStopped(t *testing.T) {
	onEnginesWithTestHost(t, func() {}, func(t *testing.T, m *runtime.Module) {
		_, err := m.Run(t.Context(), runtime.Config{Args: []string{"e"}, CPUPerCall: 20 * time.Millisecond})
		wantLimit(t, err, "cpu-per-call", "20ms")
	})
}

// TestAShareOfTheCPUIsKept compares what guests that end by themselves took of CPU and of time: a busy machine makes them slower, and
// nothing makes them faster.
func TestAShareOfTheCPUIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		what string
		work time.Duration // for each of 60 calls of the host
	}{
		"in the guest":      {"-", 0},
		"in the host":       {"h", 2 * time.Millisecond},
		"in a guest called": {"b", 0},
	} {
		t.Run(name, func(t *testing.T) {
			onEnginesWithTestHost(t, func() { burn(c.work) }, func(t *testing.T, m *runtime.Module) {
				for _, share := range []time.Duration{0, 10, 20, 100, 250} {
					var usage runtime.Usage
					started := time.Now()
					code, err := m.Run(t.Context(), runtime.Config{Args: []string{c.what}, CPUShare: int(share), Usage: &usage})
					took := time.Since(started)
					if code != 9 || err != nil {
						t.Fatalf("run: %d, %v; want 9", code, err)
					}
					t.Logf("at %d %% it took %s of CPU in %s and slept %s", share, usage.CPU, took, usage.Slept)
					if share == 0 || share >= 100 {
						if usage.Slept != 0 {
							t.Errorf("at %d %% it slept %s", share, usage.Slept)
						}
						continue
					}
					// It may save up a tenth of a second's share, and end before it has slept for its last millisecond or call.
					if least := (usage.CPU-3*time.Millisecond-c.work)*100/share - 100*time.Millisecond; took < least {
						t.Errorf("at %d %% it took %s of CPU in %s, want at least %s", share, usage.CPU, took, least)
					}
					if most := usage.CPU*100/share + 100*time.Millisecond; usage.Slept > most {
						t.Errorf("at %d %% it took %s of CPU and slept %s, want at most %s", share, usage.CPU, usage.Slept, most)
					}
				}
			})
		})
	}
}

func TestStopEndsTheSleepOfAShare(t *testing.T) {
	var stop atomic.Pointer[context.CancelFunc]
	work := func() {
		if cancel := stop.Swap(nil); cancel != nil {
			burn(200 * time.Millisecond)
			go (*cancel)()
		}
	}
	onEnginesWithTestHost(t, work, func(t *testing.T, m *runtime.Module) {
		ctx, cancel := context.WithCancel(t.Context())
		stop.Store(&cancel)
		started := time.Now()
		_, err := m.Run(ctx, runtime.Config{Args: []string{"h"}, CPUShare: 1, Grace: time.Second})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v, want Canceled", err)
		}
		if took := time.Since(started); took > 10*time.Second { // it owes 20 s
			t.Errorf("it stopped after %s", took)
		}
	})
}
