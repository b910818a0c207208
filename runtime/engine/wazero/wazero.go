// Package wazero runs guests on the wazero engine: pure Go, no cgo.
//
// On amd64 (with SSE4.1) and arm64 it compiles to machine code, elsewhere it
// interprets. Compiled guest code cannot be preempted by the Go scheduler: a
// guest that loops for ever stops the garbage collector, so modules are to be
// made interruptible before they get here.
package wazero

import (
	"context"
	"fmt"
	goruntime "runtime"
	"strings"
	"sync"

	wz "github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// version is the version of wazero that go.mod asks for; a test compares them.
const version = "v1.12.0"

// Options configures an [Engine]. The zero value compiles without a disk cache.
type Options struct {
	// CacheDir is where compiled code is kept between runs. It is made with mode
	// 0700 if it is not there. Empty means no cache on disk.
	CacheDir string
	// Interpreter runs guests without compiling them, everywhere.
	Interpreter bool
	// Workers is how many goroutines compile one module. Zero means the number of
	// usable CPUs, at most 4.
	Workers int
}

// Engine is wazero behind the seam [engine.Engine]. It is safe for concurrent use.
type Engine struct {
	workers int
	config  wz.RuntimeConfig
	shared  wz.CompilationCache // code in memory, for modules without a disk cache
	dir     string

	diskOnce sync.Once
	disk     *store
	diskErr  error
}

var _ engine.Engine = (*Engine)(nil)

// New makes an engine. It touches the cache directory only when the first
// module is compiled; a directory that cannot be trusted is not used, see
// [Engine.CacheError]. The error is always nil today.
func New(opts Options) (*Engine, error) {
	e := &Engine{
		workers: opts.Workers,
		config:  wz.NewRuntimeConfig(),
		shared:  wz.NewCompilationCache(),
		dir:     opts.CacheDir,
	}
	if opts.Interpreter {
		e.config = wz.NewRuntimeConfigInterpreter()
	}
	if opts.Interpreter || (goruntime.GOARCH != "amd64" && goruntime.GOARCH != "arm64") {
		e.dir = "" // nothing is compiled, nothing is kept
	}
	e.config = e.config.WithDebugInfoEnabled(false) // DWARF of strangers is not parsed
	if e.workers <= 0 {
		e.workers = min(goruntime.GOMAXPROCS(0), 4)
	}
	return e, nil
}

// Name is "wazero".
func (e *Engine) Name() string { return "wazero" }

// Version is wazero's version, such as "v1.12.0".
func (e *Engine) Version() string { return version }

// Close frees the shared code. Close all modules before.
func (e *Engine) Close() error {
	if err := e.shared.Close(context.Background()); err != nil {
		return fmt.Errorf("close the engine: %w", err)
	}
	return nil
}

// CacheError tells why the cache directory is not used, nil if it is used or
// was not asked for. Modules are compiled at every start then, nothing else
// changes.
func (e *Engine) CacheError() error {
	_, err := e.openDisk()
	return err
}

func (e *Engine) openDisk() (*store, error) {
	e.diskOnce.Do(func() {
		if e.dir != "" {
			e.disk, e.diskErr = openStore(e.dir)
		}
	})
	return e.disk, e.diskErr
}

// Compile validates and compiles a module, or takes its code from the cache
// after a check of its SHA-256. A cache that cannot be read or written costs
// time and is no error. The error of bytes that are not a valid core module
// matches [engine.ErrInvalid].
func (e *Engine) Compile(ctx context.Context, wasm []byte) (_ engine.Module, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: wazero panicked on it, which is a bug there: %s", engine.ErrInvalid, oneLine(fmt.Sprint(r)))
		}
	}()
	file, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
	}
	shape := shapeOf(file)
	if wasm, err = tame(file, wasm); err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
	}
	disk, _ := e.openDisk()
	if disk == nil {
		return e.compile(ctx, wasm, shape, e.shared)
	}
	slot := disk.slot(wasm)
	warm, err := slot.verify()
	if err != nil {
		return e.compile(ctx, wasm, shape, e.shared)
	}
	cache, err := wz.NewCompilationCacheWithDir(slot.dir)
	if err != nil {
		return e.compile(ctx, wasm, shape, e.shared)
	}
	m, err := e.compile(ctx, wasm, shape, cache)
	if err != nil {
		slot.remove()
		_ = cache.Close(ctx)
		return nil, err
	}
	m.own = cache
	if !warm {
		slot.seal()
	}
	return m, nil
}

// compile makes a runtime for one module. With a disk cache the second attempt
// finds the code in memory if only writing it failed, as on a full disk.
func (e *Engine) compile(ctx context.Context, wasm []byte, shape shape, cache wz.CompilationCache) (*module, error) {
	rt := wz.NewRuntimeWithConfig(ctx, e.config.WithCompilationCache(cache))
	cctx := experimental.WithCompilationWorkers(ctx, e.workers)
	code, err := rt.CompileModule(cctx, wasm)
	if err != nil && cache != e.shared && ctx.Err() == nil {
		code, err = rt.CompileModule(cctx, wasm)
	}
	if err != nil {
		_ = rt.Close(ctx)
		if cause := context.Cause(ctx); cause != nil {
			return nil, fmt.Errorf("compile the module: %w", cause)
		}
		return nil, fmt.Errorf("%w: %s", engine.ErrInvalid, oneLine(err.Error()))
	}
	m := &module{rt: rt, code: code, shape: shape}
	if err := m.describe(ctx); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// oneLine keeps messages of others in one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
