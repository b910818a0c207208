//go:build wasmtime && cgo

package main

import (
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wasmtime"
)

// moreEngines are the engines beside wazero.
var moreEngines = []namedEngine{{"wasmtime", func() (engine.Engine, error) { return wasmtime.New(wasmtime.Options{}) }}}
