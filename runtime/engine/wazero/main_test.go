package wazero

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// TestMain fails if goroutines or descriptors are left over.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if after := descriptors(); after > before {
			fmt.Fprintf(os.Stderr, "%d descriptors open, %d before the tests\n", after, before)
			code = 1
		}
	}
	os.Exit(code)
}

// descriptors counts what is open, without what the Go runtime keeps for itself.
func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:") {
			n++
		}
	}
	return n
}

func guest(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../../wasi-ebpf/conformance/guests/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compileOn(t testing.TB, e *Engine, wasm []byte) engine.Module {
	t.Helper()
	m, err := e.Compile(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func instantiate(t testing.TB, m engine.Module, cfg engine.InstanceConfig) *instance {
	t.Helper()
	in, err := m.Instantiate(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in.(*instance)
}

// fn makes a type out of i32 parameters and results.
func fn(params, results int) engine.FuncType {
	of := func(n int) (types []engine.ValueType) {
		for range n {
			types = append(types, engine.I32)
		}
		return types
	}
	return engine.FuncType{Params: of(params), Results: of(results)}
}
