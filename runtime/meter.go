package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

// Sentinels of plugins that were stopped by what they do. The errors match
// [engine.ErrLimit], too.
var (
	// ErrTooDeep means that a plugin's calls were nested too deeply.
	ErrTooDeep = errors.New("the plugin's calls are nested too deeply")
	// ErrFuel means that a plugin has used up [Config].Fuel.
	ErrFuel = errors.New("the plugin's fuel is used up")
)

// Usage is what a run has used.
type Usage struct {
	// Fuel is the work of the guest's own code in the units of package preempt. It
	// is the same for the same input on every engine and machine. What
	// functions have counted when they trap is missing.
	Fuel uint64
	// Memory is the linear memory at the end, which is the most that there was, in bytes.
	Memory uint64
	// CPU is the CPU time, and Slept how long it slept because of [Config].CPUShare.
	CPU, Slept time.Duration
}

// stopped is an error of a plugin that goes beyond a limit.
type stopped struct {
	kind, cause error
	advice      string
}

func (s *stopped) Error() string        { return s.kind.Error() + "; " + s.advice }
func (s *stopped) Unwrap() error        { return s.cause }
func (s *stopped) Is(target error) bool { return target == s.kind || target == engine.ErrLimit }

// tooDeep is the error of an endless recursion; the cause may be the engine's trap.
func tooDeep(cause error) error {
	return &stopped{kind: ErrTooDeep, cause: cause, advice: "it calls itself without end, or has to be built so that it recurses less"}
}

// plain gives the error of a run without what engines wrap around it.
func plain(err error) error {
	if s, ok := errors.AsType[*stopped](err); ok {
		return s
	}
	if limit, ok := errors.AsType[*engine.LimitError](err); ok {
		return limit
	}
	if trap, ok := errors.AsType[*engine.Trap](err); ok && trap.Reason == engine.TrapStackExhausted {
		return tooDeep(trap)
	}
	return err
}

// meter counts what an instance uses. It belongs to the goroutine of the run.
type meter struct {
	fuel    uint64 // the most it may use; zero is no limit
	used    uint64 // up to the last yield
	granted int64  // the budget that it got then
	stopped bool   // at a yield, so that there is nothing more to count
}

// next is called when the budget is spent, with what is left of it, and answers
// the next one.
func (m *meter) next(left int32) (uint32, error) {
	m.settle(left)
	m.granted = preempt.DefaultBudget
	if m.fuel > 0 {
		if m.used > m.fuel {
			return 0, &stopped{kind: ErrFuel, advice: fmt.Sprintf("it may use %d units; give it more if that is right", m.fuel)}
		}
		m.granted = int64(min(preempt.DefaultBudget, m.fuel-m.used))
	}
	return uint32(m.granted), nil
}

// settle counts what was used since the last yield.
func (m *meter) settle(left int32) {
	m.used += uint64(max(m.granted-int64(left), 0))
	m.granted = 0
}

// yield is what the checks in the guest's code call every now and then. It
// ends a guest that must not go on, looks at its CPU time, and lets the Go
// scheduler in.
func (r *run) yield() engine.HostFunc {
	i32 := []engine.ValueType{engine.I32}
	return engine.HostFunc{
		Module: preempt.ImportModule, Name: preempt.ImportYield, Type: engine.FuncType{Params: i32, Results: i32},
		Call: func(_ context.Context, in engine.Instance, stack []uint64) error {
			next, err := r.meter.next(int32(uint32(stack[0])))
			stack[0] = uint64(next)
			if cerr := r.cpu.yield(in); cerr != nil {
				err = cerr
			}
			if cause := r.killed.Load(); cause != nil {
				err = *cause
			}
			r.meter.stopped = err != nil
			return err
		},
	}
}

// overflow is what a guest calls when its calls are nested too deeply.
func (r *run) overflow() engine.HostFunc {
	return engine.HostFunc{
		Module: preempt.ImportModule, Name: preempt.ImportOverflow,
		Call: func(context.Context, engine.Instance, []uint64) error { return tooDeep(nil) },
	}
}

// fuelLeft counts what was used since the last yield.
func (r *run) fuelLeft(ctx context.Context, in engine.Instance) {
	if typ, ok := in.HasExport(preempt.ExportLeft); ok && !r.meter.stopped {
		var stack [1]uint64
		if err := in.Call(ctx, preempt.ExportLeft, typ, stack[:]); err == nil {
			r.meter.settle(int32(uint32(stack[0])))
		}
	}
}
