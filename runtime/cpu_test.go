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
	const limit = 20 * time.Millisecond
	onEnginesWithTestHost(t, func() {}, func(t *testing.T, m *runtime.Module) {
		var usage runtime.Usage
		_, err := m.Run(t.Context(), runtime.Config{Args: []string{"-"}, CPUPerCall: limit, Usage: &usage})
		wantLimit(t, err, "cpu-per-call", "20ms")
		if err.Error() != `used 20ms of CPU without calling the host; if that is right, raise the limit "cpu-per-call", which is 20ms` {
			t.Errorf("the text is %q", err)
		}
		if usage.CPU < limit || usage.CPU > limit*3 {
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
					Args: []string{what}, CPUPerCall: 30 * time.Millisecond, Usage: &usage,
					Dirs: []engine.Dir{{Host: t.TempDir(), Guest: "/"}},
				})
				if code != 9 || err != nil {
					t.Errorf("run: %d, %v; want 9", code, err)
				}
				if usage.CPU < 40*time.Millisecond {
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

// grace is in which guests that sleep may take all of a CPU.
const grace = 100 * time.Millisecond

// runFor runs a guest that does not end for some time.
func runFor(t *testing.T, m *runtime.Module, d time.Duration, cfg runtime.Config) runtime.Usage {
	t.Helper()
	var usage runtime.Usage
	cfg.Usage, cfg.Grace = &usage, grace
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if _, err := m.Run(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("run: %v, want the end of its time", err)
	}
	return usage
}

func TestAShareOfTheCPUIsKept(t *testing.T) {
	const span = time.Second
	onLimitedEngines(t, runtime.Options{}, func(t *testing.T, rt *runtime.Runtime) {
		m := load(t, rt, "spin")
		usage := runFor(t, m, span, runtime.Config{CPUShare: 20})
		t.Logf("at 20 %%: %+v", usage)
		if usage.CPU < span/20 || usage.CPU > span*30/100+grace {
			t.Errorf("at 20 %% it took %s of CPU in %s", usage.CPU, span)
		}
		if usage.Slept == 0 {
			t.Errorf("at 20 %% it did not sleep")
		}
		for _, share := range []int{0, 100, 250} {
			if usage := runFor(t, m, 50*time.Millisecond, runtime.Config{CPUShare: share}); usage.Slept != 0 {
				t.Errorf("at %d %% it slept %s", share, usage.Slept)
			}
		}
	})
}

func TestAShareCountsWorkInTheHost(t *testing.T) {
	onEnginesWithTestHost(t, func() { burn(10 * time.Millisecond) }, func(t *testing.T, m *runtime.Module) {
		usage := runFor(t, m, 600*time.Millisecond, runtime.Config{Args: []string{"h"}, CPUShare: 20})
		t.Logf("at 20 %%: %+v", usage)
		if usage.CPU > 200*time.Millisecond+grace || usage.Slept == 0 {
			t.Errorf("at 20 %% it took %s of CPU in 600 ms", usage.CPU)
		}
	})
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
