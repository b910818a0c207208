//go:build wasmtime && cgo

package wasmtime

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

func TestValuesCrossUnchanged(t *testing.T) {
	typ := engine.FuncType{
		Params:  []engine.ValueType{engine.I32, engine.I64, engine.F32, engine.F64},
		Results: []engine.ValueType{engine.F64, engine.F32, engine.I64, engine.I32},
	}
	var seen []uint64
	in := guest(t, `(module
		(import "m" "f" (func $f (param i32 i64 f32 f64) (result f64 f32 i64 i32)))
		(func (export "g") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
			(call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3))))`,
		engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "m", Name: "f", Type: typ,
			Call: func(_ context.Context, _ engine.Instance, s []uint64) error {
				seen = append(seen, s...)
				s[0], s[1], s[2], s[3] = s[3], s[2]|0xbad<<40, s[1], s[0]|0xbad<<40
				return nil
			}}}})
	f32, f64 := uint64(math.Float32bits(1.5)), math.Float64bits(-2.25)
	stack := []uint64{0xdead0000_ffffffff, math.MaxUint64 - 1, f32, f64}
	if err := in.Call(context.Background(), "g", typ, stack); err != nil {
		t.Fatal(err)
	}
	wantSeen := [4]uint64{0xffffffff, math.MaxUint64 - 1, f32, f64}
	wantBack := [4]uint64{f64, f32, math.MaxUint64 - 1, 0xffffffff}
	if got := [4]uint64(seen); got != wantSeen {
		t.Errorf("the host saw %#x, want %#x", got, wantSeen)
	}
	if got := [4]uint64(stack); got != wantBack {
		t.Errorf("the call gave %#x, want %#x", got, wantBack)
	}
}

func TestTrapReasons(t *testing.T) {
	in := guest(t, `(module
		(memory 1) (table 4 funcref) (elem (i32.const 1) $unreachable)
		(type $v (func)) (type $i (func (param i32)))
		(func $unreachable (export "unreachable") unreachable)
		(func (export "memory-read") (drop (i32.load (i32.const 65536))))
		(func (export "memory-far") (drop (i32.load offset=4294967295 (i32.const -1))))
		(func (export "table") (call_indirect (type $v) (i32.const 99)))
		(func (export "null") (call_indirect (type $v) (i32.const 0)))
		(func (export "type") (call_indirect (type $i) (i32.const 3) (i32.const 1)))
		(func (export "divide") (drop (i32.div_s (i32.const 1) (i32.const 0))))
		(func (export "overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
		(func (export "convert") (drop (i32.trunc_f64_s (f64.const nan))))
		(func $recurse (export "recurse") (call $recurse))
		(func (export "ok") (result i32) (i32.const 7)))`, engine.InstanceConfig{})
	for name, want := range map[string]string{
		"unreachable": engine.TrapUnreachable, "memory-read": engine.TrapMemory, "memory-far": engine.TrapMemory,
		"table": engine.TrapTable, "null": engine.TrapIndirectNull, "type": engine.TrapIndirectType,
		"divide": engine.TrapDivideByZero, "overflow": engine.TrapOverflow,
		"convert": engine.TrapBadConversion, "recurse": engine.TrapStackExhausted,
	} {
		err := in.Call(context.Background(), name, void, nil)
		var trap *engine.Trap
		if !errors.As(err, &trap) || trap.Reason != want {
			t.Errorf("%s: got %v, want trap %q", name, err, want)
			continue
		}
		if len(trap.Stack) == 0 || !strings.Contains(trap.Stack[0], "at offset") {
			t.Errorf("%s: frames %q", name, trap.Stack)
		}
		if got := call1(t, in, "ok"); got != 7 {
			t.Errorf("after %s the instance answers %d", name, got)
		}
	}
}

// The engine's signal handlers must leave Go's own faults to Go.
func TestGoFaultsStayPanics(t *testing.T) {
	in := guest(t, `(module
		(import "m" "f" (func $f)) (memory 1) (func (export "f") (call $f))
		(func (export "trap") (drop (i32.load (i32.const -1)))))`, engine.InstanceConfig{Funcs: []engine.HostFunc{{
		Module: "m", Name: "f", Call: func(context.Context, engine.Instance, []uint64) error {
			var p *[1 << 20]int
			p[1000]++
			return nil
		}}}})
	fault := func() (v any) {
		defer func() { v = recover() }()
		var p *int
		*p = 1
		return nil
	}
	divide := func(d int) (v any) {
		defer func() { v = recover() }()
		return 1 / d
	}
	for range 100 {
		if fault() == nil || divide(0) == nil {
			t.Fatal("a fault of Go code did not panic")
		}
		var trap *engine.Trap
		if err := in.Call(context.Background(), "trap", void, nil); !errors.As(err, &trap) {
			t.Fatalf("got %v, want a trap", err)
		}
		err := in.Call(context.Background(), "f", void, nil)
		if err == nil || !strings.Contains(err.Error(), "bug in it") ||
			!strings.Contains(err.Error(), "instance_test.go:") {
			t.Fatalf("got %v, want the panic as an error with its place", err)
		}
	}
}

func TestHostErrorsUnwindAndKeepIdentity(t *testing.T) {
	sentinel := errors.New("stop here")
	var fail error = sentinel
	var after int
	funcs := []engine.HostFunc{
		{Module: "m", Name: "fail", Call: func(context.Context, engine.Instance, []uint64) error { return fail }},
		{Module: "m", Name: "nest", Call: func(ctx context.Context, in engine.Instance, _ []uint64) error {
			if err := in.Call(ctx, "inner", void, nil); !errors.Is(err, sentinel) {
				return errors.New("the inner call lost the error")
			}
			after++
			return nil
		}},
	}
	in := guest(t, `(module (import "m" "fail" (func $fail)) (import "m" "nest" (func $nest))
		(func (export "inner") (call $fail)) (func (export "outer") (call $nest) (call $nest) (call $fail)))`,
		engine.InstanceConfig{Funcs: funcs})
	for range 3 {
		err := in.Call(context.Background(), "outer", void, nil)
		if !errors.Is(err, sentinel) || !strings.Contains(err.Error(), "m.fail") {
			t.Fatalf("got %v, want %v and the function's name", err, sentinel)
		}
	}
	if after != 6 {
		t.Errorf("nested calls went on %d times, want 6", after)
	}
	fail = &engine.ExitError{Code: 0xdeadbeef}
	var exit *engine.ExitError
	if err := in.Call(context.Background(), "inner", void, nil); !errors.As(err, &exit) || exit.Code != 0xdeadbeef {
		t.Errorf("got %v, want the exit", err)
	}
}

// Host and guest calling each other end in a trap, not in a crash.
func TestMutualRecursionEnds(t *testing.T) {
	depth := 0
	in := guest(t, `(module (import "m" "f" (func $f)) (func (export "g") (call $f)))`, engine.InstanceConfig{
		Funcs: []engine.HostFunc{{Module: "m", Name: "f",
			Call: func(ctx context.Context, in engine.Instance, _ []uint64) error {
				depth++
				return in.Call(ctx, "g", void, nil)
			}}}})
	err := in.Call(context.Background(), "g", void, nil)
	var trap *engine.Trap
	if !errors.As(err, &trap) || trap.Reason != engine.TrapStackExhausted {
		if len(err.Error()) > 300 {
			err = errors.New(err.Error()[:300])
		}
		t.Fatalf("got %v at depth %d, want a trap", err, depth)
	}
	t.Logf("depth %d", depth)
}

func TestTableFunc(t *testing.T) {
	const wat = `(module (import "m" "f" (func $f (param i32) (result i32)))
		(table %TABLE 4 funcref) (elem (i32.const 1) $f $inc $other)
		(func $inc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
		(func $other)
		(func (export "f") (param i32) (result i32) (call $f (local.get 0))))`
	host := engine.HostFunc{Module: "m", Name: "f", Type: i32i,
		Call: func(ctx context.Context, in engine.Instance, s []uint64) error {
			f, err := in.TableFunc(2, i32i)
			if err != nil {
				return err
			}
			return f.Call(ctx, s)
		}}
	for _, export := range []string{``, `(export "__indirect_function_table")`, `(export "other")`} {
		in := guest(t, strings.Replace(wat, "%TABLE", export, 1), engine.InstanceConfig{Funcs: []engine.HostFunc{host}})
		for _, index := range []uint32{1, 2} {
			f, err := in.TableFunc(index, i32i)
			if err != nil {
				t.Fatal(err)
			}
			stack := []uint64{41}
			if err := f.Call(context.Background(), stack); err != nil || stack[0] != 42 {
				t.Errorf("element %d gave %d, %v; want 42", index, stack[0], err)
			}
		}
		for index, want := range map[uint32]error{0: engine.ErrIndex, 3: engine.ErrType, 4: engine.ErrIndex, 1<<32 - 1: engine.ErrIndex} {
			if _, err := in.TableFunc(index, i32i); !errors.Is(err, want) {
				t.Errorf("element %d gave %v, want %v", index, err, want)
			}
		}
	}
	in := guest(t, `(module (func (export "f")))`, engine.InstanceConfig{})
	if _, err := in.TableFunc(0, void); !errors.Is(err, engine.ErrNoTable) {
		t.Errorf("without a table got %v, want %v", err, engine.ErrNoTable)
	}
	in = guest(t, `(module (table 1 externref))`, engine.InstanceConfig{})
	if _, err := in.TableFunc(0, void); !errors.Is(err, engine.ErrNoTable) {
		t.Errorf("with a table of externref got %v, want %v", err, engine.ErrNoTable)
	}
}

func TestMemoryViewFollowsGrowth(t *testing.T) {
	var lens []int
	host := engine.HostFunc{Module: "m", Name: "look",
		Call: func(ctx context.Context, in engine.Instance, _ []uint64) error {
			lens = append(lens, len(in.Memory()))
			if err := in.Call(ctx, "grow", i32, make([]uint64, 1)); err != nil {
				return err
			}
			lens = append(lens, len(in.Memory()))
			in.Memory()[0] = 42
			return nil
		}}
	// The memory is not exported.
	in := guest(t, `(module (import "m" "look" (func $look)) (memory 1 4)
		(func $grow (export "grow") (result i32) (memory.grow (i32.const 1)))
		(func (export "f") (result i32) (drop (call $grow)) (call $look) (i32.load8_u (i32.const 0))))`,
		engine.InstanceConfig{Funcs: []engine.HostFunc{host}, MemoryLimit: 3 * pageSize})
	base := &in.Memory()[0]
	if got := call1(t, in, "f"); got != 42 {
		t.Errorf("the guest read %d, want what the host wrote", got)
	}
	if len(lens) != 2 || lens[0] != 2*pageSize || lens[1] != 3*pageSize {
		t.Errorf("lengths %v, want 2 and 3 pages", lens)
	}
	if got := call1(t, in, "grow"); int32(got) != -1 {
		t.Errorf("memory.grow beyond the limit answered %d, want -1", int32(got))
	}
	if &in.Memory()[0] != base {
		t.Error("the memory moved")
	}
	if guest(t, `(module)`, engine.InstanceConfig{}).Memory() != nil {
		t.Error("a module without memory has one")
	}
}

func TestStartFunctionSeesTheInstance(t *testing.T) {
	m := compileWat(t, newEngine(t, Options{}), `(module (import "m" "f" (func $f))
		(memory 1) (data (i32.const 0) "hello") (start $s)
		(func $s (call $f)) (func (export "g") (result i32) (i32.const 5)))`)
	var got string
	fail := false
	cfg := engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "m", Name: "f",
		Call: func(ctx context.Context, in engine.Instance, _ []uint64) error {
			got = string(in.Memory()[:5])
			if fail {
				return os.ErrPermission
			}
			return in.Call(ctx, "g", i32, make([]uint64, 1))
		}}}}
	in, err := m.Instantiate(context.Background(), cfg)
	if err != nil || got != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, ok := in.HasExport("bowline:start"); ok {
		t.Error("the added export shows")
	}
	in.Close()
	fail = true
	if _, err := m.Instantiate(context.Background(), cfg); !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v, want the error of the start function", err)
	}
}

func TestInstantiateErrors(t *testing.T) {
	e := newEngine(t, Options{})
	for wat, want := range map[string]string{
		`(module (import "a" "b" (func (param i32))))`:                              `import a.b (i32): nobody provides it`,
		`(module (import "m" "f" (func (param i64))))`:                              `has type (i64) in the module, the host gives ()`,
		`(module (import "m" "mem" (memory 1)))`:                                    `import m.mem is a memory`,
		`(module (import "m" "g" (global i32)))`:                                    `import m.g is a global`,
		`(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))`: `the instance gets no WASI`,
		`(module (memory 3))`:                                                       `starts with 196608 bytes of memory, the limit is 131072`,
		`(module (table 2000000 funcref))`:                                          `table`,
		`(module (memory 1) (data (i32.const 65535) "ab"))`:                         `out of bounds memory access`,
	} {
		_, err := compileWat(t, e, wat).Instantiate(context.Background(), engine.InstanceConfig{
			MemoryLimit: 2 * pageSize, Funcs: []engine.HostFunc{{Module: "m", Name: "f"}}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", wat, err, want)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	in := guest(t, `(module (table 1 funcref) (elem (i32.const 0) $f) (memory 1) (func $f (export "f")))`, engine.InstanceConfig{})
	f, err := in.TableFunc(0, void)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	_, err = in.TableFunc(0, void)
	for _, err := range []error{err, f.Call(context.Background(), nil), in.Call(context.Background(), "f", void, nil)} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v, want %v", err, os.ErrClosed)
		}
	}
	if in.Memory() != nil {
		t.Error("there is memory after Close")
	}
}

func TestCallErrors(t *testing.T) {
	in := guest(t, `(module (func (export "f") (param i32) (result i32) (local.get 0))
		(func (export "v") (param v128)) (global (export "g") i32 (i32.const 1)))`, engine.InstanceConfig{})
	ctx := context.Background()
	if err := in.Call(ctx, "g", void, nil); !errors.Is(err, engine.ErrNoExport) {
		t.Errorf("a global: %v", err)
	}
	if err := in.Call(ctx, "f", i32, []uint64{0}); !errors.Is(err, engine.ErrType) {
		t.Errorf("another type: %v", err)
	}
	if err := in.Call(ctx, "f", i32i, nil); err == nil {
		t.Error("a short stack was taken")
	}
	v := engine.FuncType{Params: []engine.ValueType{engine.V128}}
	if err := in.Call(ctx, "v", v, make([]uint64, 2)); !errors.Is(err, engine.ErrType) {
		t.Errorf("a vector: %v", err)
	}
	if typ, ok := in.HasExport("v"); !ok || !typ.Equal(v) {
		t.Errorf("HasExport says %v, %v", typ, ok)
	}
}

// A guest runs as a C call: while it spins, the world can be stopped.
func TestSpinningGuestDoesNotHoldTheCollectorUp(t *testing.T) {
	spinning, stop := make(chan struct{}), make(chan struct{})
	first := true
	in := guest(t, `(module (import "m" "f" (func $f (result i32)))
		(func (export "spin") (local $n i32)
			(loop $outer
				(local.set $n (i32.const 1000000))
				(loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
				(br_if $outer (call $f)))))`, engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "m", Name: "f", Type: i32,
		Call: func(_ context.Context, in engine.Instance, s []uint64) error {
			if first {
				first = false
				close(spinning)
			}
			select {
			case <-stop:
				s[0] = 0
			default:
				s[0] = 1
			}
			if err := in.Close(); err == nil {
				return errors.New("Close works inside a host function")
			}
			return nil
		}}}})
	done := make(chan error)
	go func() { done <- in.Call(context.Background(), "spin", void, nil) }()
	<-spinning
	for range 10 {
		runtime.GC()
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
