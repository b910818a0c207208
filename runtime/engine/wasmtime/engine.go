//go:build wasmtime && cgo

package wasmtime

// #cgo CFLAGS: -std=gnu11 -O2
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	_ "github.com/bytecodealliance/wasmtime-go/v39" // links the library

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

const (
	// version is that of the C library, held against its header by a test.
	version = C.BOWLINE_WASMTIME_VERSION
	// maxStack is the native stack that guest code may use, in bytes. Threads
	// have 8 MiB, or 2 MiB where the limit is "unlimited".
	maxStack = 1 << 20
	// reservation is the address space of one memory: all that 32 bits reach.
	reservation = 4 << 30
	// maxTable caps a table, in elements of 8 bytes.
	maxTable = 1 << 20
	pageSize = 64 << 10
)

// Options configure an Engine.
type Options struct {
	// CacheDir is where compiled code is kept between runs; it is made if it is
	// missing. It must belong to the user and be writable by nobody else, because
	// what lies in it is executed; else nothing is cached and
	// [Engine.CacheError] says why. Empty means no cache.
	CacheDir string
}

// Engine compiles modules with Wasmtime. It is safe for concurrent use.
type Engine struct {
	c     *C.wasm_engine_t
	wasi  *C.wasmtime_linker_t
	cache *cache

	closeOnce sync.Once

	// mu guards forward, which is compiled when it is first needed.
	mu      sync.Mutex
	forward *Module
}

var _ engine.Engine = (*Engine)(nil)

// New makes an engine. It installs Wasmtime's handlers for SIGSEGV, SIGBUS, SIGFPE
// and SIGILL in the process, which hand what is not theirs on to Go's. A
// cache directory that cannot be used is no error, see [Engine.CacheError].
func New(opts Options) (*Engine, error) {
	e := &Engine{c: C.bowline_engine_new(maxStack, reservation)}
	if e.c == nil {
		return nil, fmt.Errorf("start wasmtime %s: the engine refuses its configuration", version)
	}
	e.wasi = C.wasmtime_linker_new(e.c)
	if err := take(C.wasmtime_linker_define_wasi(e.wasi)); err != nil {
		return nil, fmt.Errorf("start wasmtime %s: define WASI: %w", version, err)
	}
	if opts.CacheDir != "" {
		e.cache = openCache(opts.CacheDir)
	}
	return e, nil
}

// forwardWasm stands between a host function and Wasmtime's own WASI.
//
//go:embed forward.wasm
var forwardWasm []byte

// forwarder is the module forward.wat.
func (e *Engine) forwarder() (*Module, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.forward == nil {
		m, err := e.compile(forwardWasm)
		if err != nil {
			return nil, err
		}
		e.forward = m
	}
	return e.forward, nil
}

// Name is "wasmtime".
func (e *Engine) Name() string { return "wasmtime" }

// Version is the version of the C library, such as "v39.0.0".
func (e *Engine) Version() string { return "v" + version }

// CacheError tells why the cache directory is not used, or what went wrong when
// it was last written. It is nil when all is well or no cache was asked for.
func (e *Engine) CacheError() error {
	if e.cache == nil {
		return nil
	}
	return e.cache.problem()
}

// Close frees the engine. Close all modules before.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		C.wasmtime_linker_delete(e.wasi)
		if e.forward != nil {
			e.forward.Close()
		}
		if e.cache != nil {
			e.cache.close()
		}
		C.wasm_engine_delete(e.c)
	})
	return nil
}

// Compile validates and compiles a module, or takes its code from the cache.
// Errors: [engine.ErrInvalid], or the context's cause when it is done before the work
// starts; compiling itself cannot be interrupted.
func (e *Engine) Compile(ctx context.Context, wasm []byte) (engine.Module, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("compile module: %w", err)
	}
	m, err := e.compile(wasm)
	if err != nil {
		return nil, fmt.Errorf("compile module: %w", err)
	}
	return m, nil
}

func (e *Engine) compile(wasm []byte) (*Module, error) {
	file, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
	}
	code, names := rewrite(file, wasm)
	key := cacheKey(wasm)
	c := e.fromCache(key)
	if c == nil {
		if err := take(C.wasmtime_module_new(e.c, octets(code), C.size_t(len(code)), &c)); err != nil {
			if invalid := e.validate(code); invalid != nil {
				return nil, fmt.Errorf("%w: %w", engine.ErrInvalid, invalid)
			}
			return nil, err
		}
		e.toCache(key, c)
	}
	return newModule(e, c, names), nil
}

func (e *Engine) validate(wasm []byte) error {
	return take(C.wasmtime_module_validate(e.c, octets(wasm), C.size_t(len(wasm))))
}

func octets(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }

// fromCache answers nil when there is no entry, or none that can be trusted.
func (e *Engine) fromCache(key [keySize]byte) (c *C.wasmtime_module_t) {
	if e.cache == nil {
		return nil
	}
	content, free := e.cache.load(key)
	defer free()
	if content == nil {
		return nil
	}
	// Code for other CPU features than this machine's is refused here.
	if take(C.wasmtime_module_deserialize(e.c, octets(content), C.size_t(len(content)), &c)) != nil {
		return nil
	}
	return c
}

func (e *Engine) toCache(key [keySize]byte, c *C.wasmtime_module_t) {
	if e.cache == nil || e.cache.root == nil {
		return
	}
	var code C.wasm_byte_vec_t
	if err := take(C.wasmtime_module_serialize(c, &code)); err != nil {
		e.cache.note(fmt.Errorf("serialize compiled code: %w", err))
		return
	}
	defer C.wasm_byte_vec_delete(&code)
	e.cache.store(key, unsafe.Slice((*byte)(unsafe.Pointer(code.data)), code.size))
}

// cacheSalt is what the key holds beside the module: who compiled, and for what.
func cacheSalt() string {
	return fmt.Sprintf("wasmtime %s %s %s rewrite %d stack %d uid %d",
		version, runtime.GOOS, runtime.GOARCH, rewriteVersion, maxStack, os.Getuid())
}
