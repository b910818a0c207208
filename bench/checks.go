package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wazero"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

// namedEngine is an engine that is measured in this process.
type namedEngine struct {
	name string
	open func() (engine.Engine, error)
}

// cpuGuests are the guests in bench/guests/cpu, with an argument that takes a
// few milliseconds.
var cpuGuests = []struct {
	name string
	n    uint64
}{{"sha256", 16}, {"json", 400}, {"matrix", 48}, {"sort", 8000}}

// cpuRounds is how often a guest is called for one sample, of which the fastest counts.
const cpuRounds = 6

const original, checked = "as compiled", "with checks"

// checks measures what the checks for interruption cost guests that compute: each guest as its compiler made it and rewritten, in turn.
func checks(_ contenders, runs int) ([]figure, error) {
	runtime.LockOSThread() // its CPU time is what is measured
	defer runtime.UnlockOSThread()
	var figures []figure
	whole := figure{Name: "cost of interruption checks, median of these guests", Unit: "%", Goal: "under 10 %"}
	for _, e := range append([]namedEngine{{"wazero", func() (engine.Engine, error) { return wazero.New(wazero.Options{}) }}}, moreEngines...) {
		var costs []float64
		for _, g := range cpuGuests {
			samples, err := checkCost(e, g.name, g.n, runs)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", g.name, e.name, err)
			}
			f := figure{Name: fmt.Sprintf("CPU time of %s, %s", g.name, e.name), Unit: "ms", Of: []string{original},
				Values: []side{medianOf(original, samples[0]), medianOf(checked, samples[1])}}
			costs = append(costs, 100*(f.Values[1].Median/f.Values[0].Median-1))
			figures = append(figures, f)
		}
		slices.Sort(costs)
		whole.Values = append(whole.Values, side{Who: e.name, Median: (costs[1] + costs[2]) / 2, Min: costs[0], Max: costs[3]})
	}
	return append(figures, whole), nil
}

// checkCost gives the samples of both forms of a guest in milliseconds.
func checkCost(e namedEngine, name string, n uint64, runs int) (samples [2][]float64, err error) {
	eng, err := e.open()
	if err != nil {
		return samples, err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	wasm, err := os.ReadFile("bench/guests/cpu/" + name + ".wasm")
	if err != nil {
		return samples, err
	}
	rewritten, err := preempt.Rewrite(wasm, preempt.Options{})
	if err != nil {
		return samples, err
	}
	var guests [2]engine.Instance
	for i, code := range [][]byte{wasm, rewritten} {
		m, err := eng.Compile(context.Background(), code)
		if err != nil {
			return samples, err
		}
		defer m.Close()
		if guests[i], err = m.Instantiate(context.Background(), engine.InstanceConfig{Funcs: []engine.HostFunc{yield, overflow}}); err != nil {
			return samples, err
		}
		defer guests[i].Close()
	}
	for run := range runs + 1 {
		var results [2]uint64
		for i, g := range guests {
			fastest := time.Duration(1 << 62)
			for range cpuRounds {
				stack := []uint64{n}
				start := cpuTime()
				if err := g.Call(context.Background(), "run", word, stack); err != nil {
					return samples, err
				}
				fastest = min(fastest, cpuTime()-start)
				results[i] = stack[0]
			}
			if run > 0 { // the first warms up
				samples[i] = append(samples[i], fastest.Seconds()*1000)
			}
		}
		if results[0] != results[1] {
			return samples, fmt.Errorf("the rewritten guest answers %d, the original %d", results[1], results[0])
		}
	}
	return samples, nil
}

var (
	word  = engine.FuncType{Params: []engine.ValueType{engine.I32}, Results: []engine.ValueType{engine.I32}}
	yield = engine.HostFunc{
		Module: preempt.ImportModule, Name: preempt.ImportYield, Type: word,
		Call: func(_ context.Context, _ engine.Instance, stack []uint64) error {
			stack[0] = preempt.DefaultBudget
			return nil
		},
	}
	overflow = engine.HostFunc{
		Module: preempt.ImportModule, Name: preempt.ImportOverflow,
		Call: func(context.Context, engine.Instance, []uint64) error { return errors.New("calls nested too deeply") },
	}
)

// cpuTime is what this thread has used.
func cpuTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // fails only for a clock that does not exist
	return time.Duration(ts.Nano())
}

// policyChecks measures how long the policy takes to allow something. It is asked when something is opened, loaded or attached, and
// for the clock and random numbers; map operations and reads of events do not ask it.
func policyChecks(_ contenders, runs int) ([]figure, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lines, err := policy.Lines("bench", "tracing", "xdp@eth*", "tc@eth1", "dir:/var/log:rw", "cgroup:/plugins/*", "map:devmap")
	if err != nil {
		return nil, err
	}
	rights, err := node.Rights("bench", nil, nil, lines)
	if err != nil {
		return nil, err
	}
	f := figure{Name: "policy check (none for map operations and reads of events)", Unit: "ns", Goal: "under 20 ns for what is asked often, the clock"}
	for _, a := range []struct {
		who    string
		action policy.Action
	}{
		{"the clock", policy.Action{Kind: policy.Clock}},
		{"a map", policy.Action{Kind: policy.Map, Name: "hash"}},
		{"a program", policy.Action{Kind: policy.Load, Name: "xdp"}},
		{"a link", policy.Action{Kind: policy.Attach, Hook: "xdp", Name: "eth0"}},
	} {
		var samples []float64
		for range runs {
			const n = 20_000
			start := cpuTime()
			for range n {
				if err := rights.Check(a.action); err != nil {
					return nil, err
				}
			}
			samples = append(samples, float64(cpuTime()-start)/n)
		}
		f.Values = append(f.Values, medianOf(a.who, samples))
	}
	return []figure{f}, nil
}
