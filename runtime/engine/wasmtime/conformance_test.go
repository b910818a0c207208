//go:build wasmtime && cgo

package wasmtime

import (
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T, cacheDir string) engine.Engine {
		return newEngine(t, Options{CacheDir: cacheDir})
	})
}
