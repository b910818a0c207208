package wazero

import (
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/conformance"
)

func openEngine(t testing.TB, opts Options) *Engine {
	t.Helper()
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T, cacheDir string) engine.Engine {
		return openEngine(t, Options{CacheDir: cacheDir})
	})
}

func TestConformanceInterpreter(t *testing.T) {
	conformance.Run(t, func(t *testing.T, cacheDir string) engine.Engine {
		return openEngine(t, Options{CacheDir: cacheDir, Interpreter: true})
	})
}
