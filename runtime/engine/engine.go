// Package engine is the seam between bowline and a WebAssembly engine.
//
// It holds interfaces and plain types only. The adapters live beside it in
// runtime/engine/wazero and runtime/engine/wasmtime; host functions are written
// once, against [HostFunc], and run on both.
//
// An [Instance] is used by one goroutine at a time. Host functions run on the
// goroutine that called the guest.
package engine

import "context"

// Engine compiles modules. It is safe for concurrent use.
type Engine interface {
	// Name is "wazero" or "wasmtime", Version the version of that library.
	Name() string
	Version() string
	// Compile validates and compiles a module, or takes it from the cache.
	// The error of a module that is not valid Wasm matches [ErrInvalid].
	// The bytes are not kept.
	Compile(ctx context.Context, wasm []byte) (Module, error)
	// Close frees what the engine holds. Close all modules before.
	Close() error
}

// Module is a compiled module. It is safe for concurrent use and may be
// instantiated many times.
type Module interface {
	// Instantiate makes an instance and runs the module's start function, if it
	// has one, but no export: the caller decides on _initialize and _start.
	Instantiate(ctx context.Context, cfg InstanceConfig) (Instance, error)
	// Close frees the code. Close all instances before.
	Close() error
}

// InstanceConfig says what one instance gets. The zero value gives nothing.
type InstanceConfig struct {
	// Funcs answers the function imports of the module, but those of
	// wasi_snapshot_preview1, which the engine provides as WASI says.
	Funcs []HostFunc
	// WASI is nil for a module that gets no WASI.
	WASI *WASI
	// MemoryLimit caps the linear memory in bytes; at the cap memory.grow
	// answers -1. A module whose initial memory exceeds it is not instantiated.
	// Zero, and more than that, means 4 GiB less one page.
	MemoryLimit uint64
}

// HostFunc is one function that the host gives to a guest.
type HostFunc struct {
	Module, Name string
	Type         FuncType
	// Call receives the parameters in stack[0:len(Params)] and leaves the results
	// in stack[0:len(Results)]; i32 values are in the low 32 bits, and the high
	// ones are zero on entry. The stack has room for both and is
	// invalid after Call returns. An error ends the guest: all its frames are
	// unwound, and the outermost [Instance.Call] returns that error, wrapped.
	// Call must not panic.
	Call func(ctx context.Context, in Instance, stack []uint64) error
}

// Instance is one running guest.
type Instance interface {
	// Call calls an exported function. It may be called again from inside a host
	// function of the same instance. Parameters and results travel in stack as in
	// [HostFunc]. Errors: [ErrNoExport], a type that differs ([ErrType]), an
	// [*ExitError] for proc_exit, a [*Trap], or what a host function returned.
	// The context is handed to host functions; compiled code does not look at it.
	Call(ctx context.Context, name string, typ FuncType, stack []uint64) error
	// TableFunc looks an element of the function table up: the table exported as
	// __indirect_function_table, else table 0, exported or not. The Func stands
	// for the element as it is now and is for one nesting level: look up again
	// inside a host call that the Func led to. Errors: [ErrNoTable], [ErrIndex]
	// (out of range or null), [ErrType].
	TableFunc(index uint32, typ FuncType) (Func, error)
	// HasExport tells whether there is an exported function of that name and
	// what its type is.
	HasExport(name string) (FuncType, bool)
	// Memory is the linear memory as it is now, nil if there is none: the export
	// "memory", else memory 0. The slice is invalid once guest code runs again,
	// because memory may grow and move.
	Memory() []byte
	// Crossings counts the calls between guest and host since the instance was made,
	// in both directions: while it stays the same, the guest is at work by itself.
	// Functions of WASI count, but those that only tell what does not change, such
	// as args_get, may be left out.
	Crossings() uint64
	// Close frees the instance. It must not be called from a host function.
	Close() error
}

// Func is a guest function. It is not safe for re-entrant or concurrent use.
type Func interface {
	// Call works as [Instance.Call].
	Call(ctx context.Context, stack []uint64) error
}
