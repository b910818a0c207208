//go:build wasmtime

package node

import (
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wasmtime"
)

// optional are the engines beside wazero.
var optional = []factory{{name: "wasmtime", open: openWasmtime}}

func openWasmtime(dir string) (engine.Engine, string, error) {
	eng, err := wasmtime.New(wasmtime.Options{CacheDir: dir})
	return eng, "", err
}
