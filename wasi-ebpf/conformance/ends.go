package conformance

import (
	"context"
	"errors"
	"math"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var endScenarios = []scenario{
	{"exit", playExit},
	{"host_error", playHostError},
	{"traps", playTraps},
	{"stack_exhausted", playStackExhausted},
	{"yield", playYield},
}

// playExit ends guests by proc_exit, right away and from under a host call,
// which passes the end on or swallows it.
func playExit(p *play) {
	swallow := false
	p.host("nested", fn("i:i"), func(ctx context.Context, _ engine.Instance, s []uint64) error {
		_, err := p.try(ctx, "exit", int32(s[0]))
		if swallow {
			s[0] = 1
			return nil
		}
		return err
	})
	for _, code := range []int32{0, 1, 2, 125, 126, 255, 256, 65536, math.MaxInt32, -1} {
		if p.load("exit", engine.InstanceConfig{WASI: &engine.WASI{}}) {
			p.call("exit", code)
		}
	}
	if p.load("exit", engine.InstanceConfig{WASI: &engine.WASI{}}) {
		p.call("nested", int32(3))
		p.call("steps")
		swallow = true
		p.call("nested", int32(4))
		p.call("steps")
	}
	p.logf("without WASI")
	p.load("exit", engine.InstanceConfig{})
}

// playHostError unwinds two levels of guest by an error of the host's.
func playHostError(p *play) {
	p.host("again", fn("i:i"), func(ctx context.Context, _ engine.Instance, s []uint64) error {
		if s[0] == 0 {
			return errRefused
		}
		got, err := p.try(ctx, "down", int32(s[0]))
		if err == nil {
			s[0] = got[0]
			return nil
		}
		if s[0] == 3 {
			p.logf("the host goes on")
			s[0] = 1000
			return nil
		}
		return err
	})
	if !p.load("reenter", engine.InstanceConfig{}) {
		return
	}
	if _, err := p.try(p.t.Context(), "down", int32(2)); !errors.Is(err, errRefused) {
		p.t.Errorf("the outermost call returns %v", err)
	}
	p.call("down", int32(0))
	p.call("down", int32(4))
	p.call("down", int32(0))
}

func playTraps(p *play) {
	if !p.load("traps", engine.InstanceConfig{}) {
		return
	}
	p.call("unreachable")
	for _, at := range []int32{0, 65528, 65529, 65536, -1, -4, math.MinInt32} {
		p.call("load", at)
	}
	for _, at := range []int32{65528, 65529, -8} {
		p.call("store", at)
	}
	p.call("fill", int32(1))
	for _, index := range []int32{0, 1, 3, -1} { // another type, null, beyond
		p.call("call", index)
	}
	p.call("table_get", int32(1))
	p.call("table_get", int32(3))
	p.call("div", int32(7), int32(0))
	p.call("div", int32(math.MinInt32), int32(-1))
	p.call("div", int32(-7), int32(2))
	p.call("rem", int64(7), int64(0))
	p.call("rem", int64(-1), int64(10))
	p.call("trunc", -2.9)
	p.call("trunc", 3e10)
	p.call("trunc", math.Inf(1))
	p.call("trunc_nan")
	p.call("alive")
}

func playStackExhausted(p *play) {
	if !p.load("traps", engine.InstanceConfig{}) {
		return
	}
	p.call("recurse", int32(0))
	p.call("alive")
	p.call("unreachable")
	p.call("alive")
}

// playYield interrupts a loop the way that rewritten modules allow it.
func playYield(p *play) {
	left := 1000
	p.funcs = append(p.funcs, engine.HostFunc{Module: "bowline", Name: "yield", Type: fn(":"),
		Call: func(ctx context.Context, _ engine.Instance, _ []uint64) error {
			if left--; left == 0 {
				return errRefused
			}
			return context.Cause(ctx)
		}})
	if !p.load("yield", engine.InstanceConfig{}) {
		return
	}
	p.call("spin")
	p.call("n")
	left = 10
	p.call("spin")
	p.call("n")

	ctx, cancel := context.WithCancelCause(p.t.Context())
	cancel(errRefused)
	left = 1000
	_, _ = p.try(ctx, "spin")
	p.call("n")
}
