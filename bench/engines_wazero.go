//go:build !wasmtime || !cgo

package main

// moreEngines are the engines beside wazero.
var moreEngines []namedEngine
