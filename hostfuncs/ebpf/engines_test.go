//go:build !wasmtime

package ebpf

import (
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wazero"
)

// engines are those of this build.
var engines = map[string]func() (engine.Engine, error){
	"wazero": func() (engine.Engine, error) { return wazero.New(wazero.Options{}) },
}
