package wazero

import (
	"context"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// BenchmarkExport is the host's way to an exported function and back.
func BenchmarkExport(b *testing.B) {
	in := benchInstance(b, openEngine(b, Options{}))
	stack, typ := make([]uint64, 1), fn(0, 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := in.Call(bg, "alive", typ, stack); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTableCallback is the same through the function table.
func BenchmarkTableCallback(b *testing.B) {
	in := benchInstance(b, openEngine(b, Options{}))
	f, err := in.TableFunc(1, fn(3, 1))
	if err != nil {
		b.Fatal(err)
	}
	stack := make([]uint64, 3)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Call(bg, stack); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTableLookup finds an element, once per drain of a ring buffer, in a
// table that stays as it is and in one that code may change.
func BenchmarkTableLookup(b *testing.B) {
	for name, c := range map[string]struct {
		in  *instance
		typ engine.FuncType
	}{
		"fixed":    {fixedInstance(b, 2, nothing), unary},
		"changing": {benchInstance(b, openEngine(b, Options{})), fn(3, 1)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.in.TableFunc(1, c.typ); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHostCall is the guest's way to a host function and back: the guest
// calls b.N times in one call of its export.
func BenchmarkHostCall(b *testing.B) {
	m := compileOn(b, openEngine(b, Options{}), guest(b, "yield"))
	left := 0
	in := instantiate(b, m, engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "bowline", Name: "yield",
		Call: func(context.Context, engine.Instance, []uint64) error {
			if left--; left <= 0 {
				return context.Canceled
			}
			return nil
		}}}})
	b.ReportAllocs()
	b.ResetTimer()
	left = b.N
	if err := in.Call(bg, "spin", engine.FuncType{}, nil); err == nil {
		b.Fatal("the loop ended")
	}
}

// BenchmarkWarmStart makes an engine, takes a module from the disk cache and
// makes an instance of it.
func BenchmarkWarmStart(b *testing.B) {
	dir := b.TempDir()
	wasm := guest(b, "wasi")
	b.ReportAllocs()
	for b.Loop() {
		e, _ := New(Options{CacheDir: dir})
		m, err := e.Compile(bg, wasm)
		if err != nil {
			b.Fatal(err)
		}
		in, err := m.Instantiate(bg, engine.InstanceConfig{WASI: &engine.WASI{}})
		if err != nil {
			b.Fatal(err)
		}
		_, _, _ = in.Close(), m.Close(), e.Close()
	}
}
