package wazero

import (
	"context"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

var unary = fn(1, 1)

// fixedTable is a module whose table has n times the function g of x, which is
// the imported a.f(x) + x. It traps for a negative x.
func fixedTable(n byte) []byte {
	elements := append([]byte{1, 0, 0x41, 0, 0x0b, n}, make([]byte, n)...)
	for i := range n {
		elements[6+i] = 1
	}
	return module1(sect(wasmfile.SectionType, 1, 0x60, 1, 0x7f, 1, 0x7f), importSec, funcSec,
		sect(wasmfile.SectionTable, 1, 0x70, 1, n, n), sect(wasmfile.SectionElement, elements...),
		sect(wasmfile.SectionCode, 1, 18, 0, 0x20, 0, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b, // if x < 0 unreachable
			0x20, 0, 0x20, 0, 0x10, 0, 0x6a, 0x0b)) // x + f(x)
}

// fixedInstance is an instance of it with an a.f of the test's.
func fixedInstance(t testing.TB, n byte, f func(context.Context, engine.Instance, []uint64) error) *instance {
	t.Helper()
	return instantiate(t, compileOn(t, openEngine(t, Options{}), fixedTable(n)),
		engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "a", Name: "f", Type: unary, Call: f}}})
}

func nothing(context.Context, engine.Instance, []uint64) error { return nil }

func element(t testing.TB, in engine.Instance, index uint32, typ engine.FuncType) engine.Func {
	t.Helper()
	f, err := in.TableFunc(index, typ)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func callElement(t testing.TB, in engine.Instance, index uint32, typ engine.FuncType, args ...uint64) uint64 {
	t.Helper()
	if err := element(t, in, index, typ).Call(bg, args); err != nil {
		t.Fatal(err)
	}
	return args[0]
}

func TestElementOfAFixedTableIsKept(t *testing.T) {
	in := fixedInstance(t, 3, nothing)
	first := element(t, in, 1, unary)
	if element(t, in, 1, unary) != first || element(t, in, 2, unary) == first {
		t.Error("index 1 is not kept, or not kept apart")
	}
	if n := testing.AllocsPerRun(100, func() { element(t, in, 1, unary) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := in.TableFunc(1, fn(2, 1)); err == nil {
		t.Error("another type is no error")
	}
	minus := uint64(1<<32 - 1)
	if err := first.Call(bg, []uint64{minus}); err == nil {
		t.Fatal("no trap")
	}
	if element(t, in, 1, unary) == first {
		t.Error("it is kept after a trap, with its stack")
	}
}

func TestKeptElementsAreBounded(t *testing.T) {
	in := fixedInstance(t, 2*maxElements, nothing)
	for range 2 {
		for i := range uint32(2 * maxElements) {
			if got := callElement(t, in, i, unary, 7); got != 14 {
				t.Fatalf("element %d: %d", i, got)
			}
		}
	}
	if len(in.elements) != maxElements {
		t.Errorf("%d are kept", len(in.elements))
	}
}

// TestElementCallsItself has g(4) call f(4), which calls g(3), and so on.
func TestElementCallsItself(t *testing.T) {
	in := fixedInstance(t, 1, func(ctx context.Context, in engine.Instance, s []uint64) error {
		if s[0] == 0 {
			return nil
		}
		f, err := in.TableFunc(0, unary)
		if err != nil {
			return err
		}
		s[0]--
		return f.Call(ctx, s)
	})
	for range 3 {
		if got := callElement(t, in, 0, unary, 4); got != 4+3+2+1 {
			t.Errorf("got %d, want 10", got)
		}
	}
}

func TestElementOfAChangingTable(t *testing.T) {
	in := benchInstance(t, openEngine(t, Options{}))
	if got := callElement(t, in, 2, fn(3, 1), 5, 100, 7); got == 5+100+7 {
		t.Fatal("element 2 adds already")
	}
	want := callElement(t, in, 1, fn(3, 1), 5, 100, 7)
	if err := in.Call(bg, "set", fn(2, 0), []uint64{2, 1}); err != nil {
		t.Fatal(err)
	}
	if got := callElement(t, in, 2, fn(3, 1), 5, 100, 7); got != want {
		t.Errorf("got %d, want %d as from element 1", got, want)
	}
	if len(in.elements) != 0 {
		t.Error("elements of a table that changes are kept")
	}
}
