// Package wasmtime runs guests on the Wasmtime engine. Everything but this
// comment needs cgo and the build tag wasmtime.
//
// It talks to the C library that the module wasmtime-go ships, through a thin
// shim of its own, because the public Go calls of wasmtime-go cost 10 to 50 times
// as much per call. The library is linked in by importing wasmtime-go; the
// few C declarations that the shim needs are in abi.h, and a test has the C
// compiler compare them with the headers of wasmtime-go.
//
// Differences to the wazero adapter that a caller can see: a guest that spins does
// not hold the Go scheduler or the garbage collector up (it runs as a C call), the
// memory never moves, and a guest has 1 MiB of native stack. Of WASI, the file
// system, randomness, arguments and environment are Wasmtime's; the standard streams,
// the clocks, poll_oneoff and proc_exit are our own (see wasi.go for why).
package wasmtime
