//go:build wasmtime

package ebpf

import (
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wasmtime"
	"github.com/bowline-edge/bowline/runtime/engine/wazero"
)

var engines = map[string]func() (engine.Engine, error){
	"wazero":   func() (engine.Engine, error) { return wazero.New(wazero.Options{}) },
	"wasmtime": func() (engine.Engine, error) { return wasmtime.New(wasmtime.Options{}) },
}
