package wazero

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var bg = context.Background()

func TestVersionIsThatOfGoMod(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`github.com/tetratelabs/wazero (\S+)`).FindSubmatch(mod)
	if found == nil || string(found[1]) != version {
		t.Errorf("go.mod says %s, the adapter %s", found, version)
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	e := openEngine(t, Options{})
	in := benchInstance(t, e)
	stack := make([]uint64, 4)
	element, err := in.TableFunc(1, fn(3, 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"export":    func() error { return in.Call(bg, "alive", aliveType, stack) },
		"host call": func() error { return in.Call(bg, "invoke", invokeType, stack) },
		"element":   func() error { return element.Call(bg, stack) },
		"memory":    func() error { _ = in.Memory(); return nil },
	} {
		if n := testing.AllocsPerRun(1000, func() {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

var aliveType, invokeType = fn(0, 1), fn(2, 1)

// benchInstance is the guest "table" with host functions that do nothing.
func benchInstance(t testing.TB, e *Engine) *instance {
	t.Helper()
	nothing := func(context.Context, engine.Instance, []uint64) error { return nil }
	return instantiate(t, compileOn(t, e, guest(t, "table")), engine.InstanceConfig{Funcs: []engine.HostFunc{
		{Module: "env", Name: "invoke", Type: fn(2, 1), Call: nothing},
		{Module: "env", Name: "fail", Type: fn(1, 1), Call: nothing},
	}})
}

func TestTableFuncIsForOneLevel(t *testing.T) {
	var f engine.Func
	m := compileOn(t, openEngine(t, Options{}), guest(t, "table"))
	in := instantiate(t, m, engine.InstanceConfig{Funcs: []engine.HostFunc{
		{Module: "env", Name: "invoke", Type: fn(2, 1), Call: func(context.Context, engine.Instance, []uint64) error { return nil }},
		{Module: "env", Name: "fail", Type: fn(1, 1), Call: func(ctx context.Context, _ engine.Instance, _ []uint64) error {
			return f.Call(ctx, make([]uint64, 3))
		}},
	}})
	var err error
	if f, err = in.TableFunc(5, fn(3, 1)); err != nil { // it calls fail
		t.Fatal(err)
	}
	if err := f.Call(bg, make([]uint64, 3)); err == nil || !strings.Contains(err.Error(), "look it up again") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsAreOneLineAndKeepTheCause(t *testing.T) {
	cause := errors.New("the cause")
	var in *instance
	m := compileOn(t, openEngine(t, Options{}), guest(t, "reenter"))
	in = instantiate(t, m, engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "env", Name: "again", Type: fn(1, 1),
		Call: func(ctx context.Context, _ engine.Instance, s []uint64) error {
			switch s[0] {
			case 0:
				return cause
			case 1:
				panic(cause)
			case 2:
				return in.Close()
			}
			return in.Call(ctx, "down", fn(1, 1), []uint64{1})
		}}}})
	for n, want := range map[uint64]string{
		1: "env.again: the cause",
		2: "bug in host function env.again(i32) i32: it panicked: the cause",
		3: "env.again: close the instance: a host function of it runs, close it after the call has returned",
		4: "env.again: the cause",
	} {
		err := in.Call(bg, "down", fn(1, 1), []uint64{n})
		if err == nil || err.Error() != want {
			t.Errorf("down(%d): got %v, want %s", n, err, want)
		}
		if n%3 == 1 && !errors.Is(err, cause) {
			t.Errorf("down(%d): the cause is lost", n)
		}
	}
}

func TestTrapTellsTheFrames(t *testing.T) {
	in := instantiate(t, compileOn(t, openEngine(t, Options{}), guest(t, "traps")), engine.InstanceConfig{})
	err := in.Call(bg, "div", fn(2, 1), []uint64{1, 0})
	trap, ok := errors.AsType[*engine.Trap](err)
	if !ok || trap.Reason != engine.TrapDivideByZero || len(trap.Stack) != 1 || !strings.Contains(trap.Stack[0], "(i32,i32) i32") {
		t.Errorf("got %#v", err)
	}
}

func TestClosedInstance(t *testing.T) {
	in := instantiate(t, compileOn(t, openEngine(t, Options{}), guest(t, "table_hidden")), engine.InstanceConfig{})
	f, err := in.TableFunc(1, fn(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_, lookup := in.TableFunc(1, fn(0, 1))
	for name, err := range map[string]error{
		"call":    in.Call(bg, "alive", fn(0, 1), make([]uint64, 1)),
		"look-up": lookup,
		"element": f.Call(bg, make([]uint64, 1)),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if in.Memory() != nil {
		t.Error("there is still memory")
	}
}

func TestCompileHeedsTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(bg)
	cause := errors.New("no time")
	cancel(cause)
	m, err := openEngine(t, Options{}).Compile(ctx, guest(t, "traps"))
	if err == nil {
		_ = m.Close()
		t.Skip("compiled before it looked")
	}
	if !errors.Is(err, cause) || errors.Is(err, engine.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestModulesInParallel(t *testing.T) {
	e := openEngine(t, Options{CacheDir: t.TempDir()})
	wasm := guest(t, "traps")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m, err := e.Compile(bg, wasm)
			if err != nil {
				t.Error(err)
				return
			}
			for range 4 {
				in, err := m.Instantiate(bg, engine.InstanceConfig{})
				if err != nil {
					t.Error(err)
					continue
				}
				stack := make([]uint64, 1)
				if err := in.Call(bg, "alive", fn(0, 1), stack); err != nil || stack[0] != 42 {
					t.Errorf("alive: %d %v", stack[0], err)
				}
				if err := in.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
