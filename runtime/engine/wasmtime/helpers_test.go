//go:build wasmtime && cgo

package wasmtime

import (
	"context"
	"testing"

	library "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var (
	void = engine.FuncType{}
	i32  = engine.FuncType{Results: []engine.ValueType{engine.I32}}
	i32i = engine.FuncType{Params: []engine.ValueType{engine.I32}, Results: []engine.ValueType{engine.I32}}
)

func newEngine(t testing.TB, opts Options) *Engine {
	t.Helper()
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func binaryOf(t testing.TB, wat string) []byte {
	t.Helper()
	b, err := library.Wat2Wasm(wat)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compileWat(t testing.TB, e *Engine, wat string) engine.Module {
	t.Helper()
	m, err := e.Compile(context.Background(), binaryOf(t, wat))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// guest makes an instance of a module in text form, on an engine of its own.
func guest(t testing.TB, wat string, cfg engine.InstanceConfig) *Instance {
	t.Helper()
	in, err := compileWat(t, newEngine(t, Options{}), wat).Instantiate(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in.(*Instance)
}

// call1 calls an export of type () -> i32.
func call1(t testing.TB, in engine.Instance, name string) uint32 {
	t.Helper()
	stack := []uint64{^uint64(0)}
	if err := in.Call(context.Background(), name, i32, stack); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if stack[0]>>32 != 0 {
		t.Errorf("%s left %#x: the high half of an i32 is not zero", name, stack[0])
	}
	return uint32(stack[0])
}
