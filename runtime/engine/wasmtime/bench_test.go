//go:build wasmtime && cgo

package wasmtime

import (
	"context"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var (
	i32x4to1 = engine.FuncType{Params: i32x4, Results: i32x1}
	i32x3to1 = engine.FuncType{Params: i32x4[:3], Results: i32x1}
)

const benchWat = `(module
	(import "m" "host" (func $host (param i32 i32 i32 i32) (result i32)))
	(import "m" "drain" (func $drain (param i32)))
	(memory (export "memory") 1) (table 2 funcref) (elem (i32.const 1) $callback)
	(func $callback (export "callback") (param i32 i32 i32) (result i32) (i32.const 0))
	(func (export "drain") (param i32) (call $drain (local.get 0)))
	(func (export "loop") (param $n i32)
		(loop $l
			(drop (call $host (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)))
			(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`

func benchGuest(b *testing.B) *Instance {
	b.Helper()
	b.ReportAllocs()
	return guest(b, benchWat, engine.InstanceConfig{Funcs: []engine.HostFunc{
		{Module: "m", Name: "host", Type: i32x4to1, Call: func(_ context.Context, in engine.Instance, s []uint64) error {
			s[0] = uint64(len(in.Memory()))
			return nil
		}},
		{Module: "m", Name: "drain", Type: engine.FuncType{Params: i32x1},
			Call: func(ctx context.Context, in engine.Instance, s []uint64) error {
				f, err := in.TableFunc(1, i32x3to1)
				if err != nil {
					return err
				}
				stack := make([]uint64, 3)
				for range s[0] {
					stack[0], stack[1], stack[2] = 1, 2, 3
					if err := f.Call(ctx, stack); err != nil {
						return err
					}
				}
				return nil
			}},
	}})
}

func BenchmarkHostToGuest(b *testing.B) {
	in := benchGuest(b)
	stack := make([]uint64, 3)
	for b.Loop() {
		if err := in.Call(context.Background(), "callback", i32x3to1, stack); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHostToGuestFunc(b *testing.B) {
	in := benchGuest(b)
	f, err := in.TableFunc(1, i32x3to1)
	if err != nil {
		b.Fatal(err)
	}
	stack := make([]uint64, 3)
	for b.Loop() {
		if err := f.Call(context.Background(), stack); err != nil {
			b.Fatal(err)
		}
	}
}

// The way of a wasm-bpf plugin that polls: from a host call, by table index.
func BenchmarkNestedCallback(b *testing.B) {
	in := benchGuest(b)
	if err := in.Call(context.Background(), "drain", engine.FuncType{Params: i32x1}, []uint64{uint64(b.N)}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGuestToHost(b *testing.B) {
	in := benchGuest(b)
	if err := in.Call(context.Background(), "loop", engine.FuncType{Params: i32x1}, []uint64{uint64(b.N)}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkTableFunc(b *testing.B) {
	in := benchGuest(b)
	for b.Loop() {
		if _, err := in.TableFunc(1, i32x3to1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInstantiate(b *testing.B) {
	b.ReportAllocs()
	m := compileWat(b, newEngine(b, Options{}), helloWat)
	for b.Loop() {
		in, err := m.Instantiate(context.Background(), engine.InstanceConfig{WASI: &engine.WASI{}})
		if err != nil {
			b.Fatal(err)
		}
		in.Close()
	}
}
