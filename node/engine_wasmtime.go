//go:build wasmtime

package node

import "github.com/bowline-edge/bowline/runtime/engine/wasmtime"

// optional are the engines beside wazero.
var optional = []factory{{name: "wasmtime", version: (*wasmtime.Engine)(nil).Version(), open: openWasmtime}}

func openWasmtime(dir string) (cachingEngine, error) {
	return wasmtime.New(wasmtime.Options{CacheDir: dir})
}
