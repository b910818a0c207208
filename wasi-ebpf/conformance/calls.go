package conformance

import (
	"context"
	"math"
	"slices"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// keep is a host function that returns its parameter.
func keep(context.Context, engine.Instance, []uint64) error { return nil }

var callScenarios = []scenario{
	{"numbers", playNumbers},
	{"reenter", playReenter},
	{"host_recursion", playHostRecursion},
	{"exports", playExports},
	{"instances", playInstances},
	{"host_panic", playHostPanic},
}

func offerNumbers(p *play) {
	p.host("i32", fn("i:i"), keep)
	p.host("i64", fn("I:I"), keep)
	p.host("f32", fn("f:f"), keep)
	p.host("f64", fn("F:F"), keep)
	p.host("mix", fn("iIfF:FfIi"), func(_ context.Context, _ engine.Instance, s []uint64) error {
		slices.Reverse(s[:4])
		return nil
	})
	p.host("nothing", fn(":"), keep)
	p.host("many", fn("iIiIiIiIiIfF:I"), func(_ context.Context, _ engine.Instance, s []uint64) error {
		s[0] = s[3]
		return nil
	})
	p.host("dirty", fn(":i"), func(_ context.Context, _ engine.Instance, s []uint64) error {
		s[0] = 0xdeadbeef_fffffffe // the engine has to ignore the upper half
		return nil
	})
}

func playNumbers(p *play) {
	offerNumbers(p)
	if !p.load("numbers", engine.InstanceConfig{}) {
		return
	}
	for _, v := range []int32{0, 1, -1, math.MaxInt32, math.MinInt32} {
		p.call("i32", v)
	}
	for _, v := range []int64{0, -1, 1 << 40, math.MaxInt64, math.MinInt64} {
		p.call("i64", v)
	}
	for _, v := range []float32{0, float32(math.Copysign(0, -1)), -1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1))} {
		p.call("f32", v)
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 0.1, -math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1)} {
		p.call("f64", v)
	}
	p.call("mix", int32(-7), int64(-1<<33), float32(0.25), -1e300)
	p.call("nothing")
	p.call("many", int32(-1))
	p.call("narrow", int64(0x1234567_80000001))
	p.call("narrow_only", int64(-1<<32|5))
	p.call("widen", int32(-1))
	p.call("widen_host")
	p.call("again", int32(-9))
	dirty := []uint64{0xdeadbeef_00000003}
	err := p.in.Call(p.t.Context(), "widen", fn("i:I"), dirty)
	p.logf("call widen with a dirty slot")
	p.result(fn("i:I"), dirty, err)
}

// offerAgain lets the guest call its export again, one level further in.
func offerAgain(p *play, export string) {
	p.host("again", fn("i:i"), func(ctx context.Context, _ engine.Instance, s []uint64) error {
		got, err := p.try(ctx, export, int32(s[0]))
		if err == nil {
			s[0] = got[0]
		}
		return err
	})
}

func playReenter(p *play) {
	offerAgain(p, "down")
	if !p.load("reenter", engine.InstanceConfig{}) {
		return
	}
	p.call("down", int32(0))
	p.call("down", int32(4))
	p.call("twice", int32(2))
	p.call("down", int32(1))
}

// playHostRecursion has a guest and its host call each other without an end.
// How deep it gets is the engine's affair, how it ends is not.
func playHostRecursion(p *play) {
	depth := 0
	p.funcs = append(p.funcs, engine.HostFunc{Module: "env", Name: "again", Type: fn("i:i"),
		Call: func(ctx context.Context, in engine.Instance, s []uint64) error {
			depth++
			return in.Call(ctx, "for_ever", fn("i:i"), s)
		}})
	if !p.load("reenter", engine.InstanceConfig{}) {
		return
	}
	p.call("for_ever", int32(1))
	if depth < 16 {
		p.t.Errorf("calls through the host nest %d deep only", depth)
	}
	p.logf("again")
	p.call("for_ever", int32(1))
}

func playExports(p *play) {
	offerNumbers(p)
	if !p.load("numbers", engine.InstanceConfig{}) {
		return
	}
	for _, name := range []string{"mix", "nothing", "memory", "absent", ""} {
		typ, ok := p.in.HasExport(name)
		p.logf("export %q: %v %v", name, ok, typ)
	}
	p.call("absent", int32(1))
	p.call("i32")
	p.call("i32", int64(1))
	p.call("nothing", int32(1))
	p.logf("call i32 for another result")
	p.result(fn("i:I"), nil, p.in.Call(p.t.Context(), "i32", fn("i:I"), make([]uint64, 1)))
	p.call("i32", int32(1))
	p.logf("memory: %v", p.in.Memory() != nil)

	for _, c := range []struct {
		what string
		wasm []byte
	}{
		{"nothing", nil},
		{"text", []byte("#!/bin/sh\necho hello\n")},
		{"a header cut short", []byte("\x00asm\x01\x00")},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00")},
		{"a section cut short", []byte("\x00asm\x01\x00\x00\x00\x01\x40\x01")},
		{"an invalid body", []byte("\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b")},
	} {
		m, err := p.engine.Compile(p.t.Context(), c.wasm)
		if err == nil {
			p.t.Errorf("%s compiles", c.what)
			_ = m.Close()
			continue
		}
		p.logf("compile %s -> %s", c.what, p.outcome(err))
	}
}

func playInstances(p *play) {
	var ins [3]engine.Instance
	p.host("tell", fn("i:"), func(_ context.Context, in engine.Instance, _ []uint64) error {
		p.logf("by instance %d, memory has %d", slices.Index(ins[:], in), in.Memory()[16])
		return nil
	})
	m := p.compile("instances")
	for i := range ins {
		in, err := m.Instantiate(p.t.Context(), engine.InstanceConfig{Funcs: p.funcs})
		if err != nil {
			p.t.Fatal(err)
		}
		ins[i] = in
	}
	for _, i := range []int{0, 1, 0, 2, 0, 1} {
		p.in = ins[i]
		p.call("bump")
	}
	p.in = nil
	for _, in := range ins {
		if err := in.Close(); err != nil {
			p.t.Error(err)
		}
		if err := in.Close(); err != nil {
			p.t.Errorf("a second close: %v", err)
		}
	}
	if err := m.Close(); err != nil {
		p.t.Error(err)
	}
}

// playHostPanic has a bug in a host function, which must not take the process
// or the instance with it.
func playHostPanic(p *play) {
	p.host("started", fn("i:i"), keep)
	offerAgain(p, "down")
	p.host("panic", fn(":"), keep)
	p.funcs = append(p.funcs[:0:0], engine.HostFunc{Module: "env", Name: "again", Type: fn("i:i"),
		Call: func(_ context.Context, in engine.Instance, s []uint64) error {
			p.logf("host again%s", values([]engine.ValueType{engine.I32}, s))
			switch s[0] {
			case 0:
				panic("a bug\nin two lines")
			case 1:
				s[0] = uint64(in.Memory()[s[0]]) // there is no memory
			}
			return nil
		}})
	if !p.load("reenter", engine.InstanceConfig{}) {
		return
	}
	p.call("down", int32(1))
	p.call("down", int32(2))
	p.call("down", int32(3))
}
