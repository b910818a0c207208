//go:build !wasmtime

package node

// optional are the engines beside wazero: none without the build tag wasmtime.
var optional []factory
