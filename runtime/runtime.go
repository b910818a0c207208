// Package runtime runs WebAssembly plugins: it loads a module, makes it
// interruptible, gives it WASI preview 1 and the host functions of the given
// providers, runs it, and cleans up after it however it ends.
//
//	rt, err := runtime.New(runtime.Options{Engine: eng, Providers: providers})
//	mod, err := rt.Load(ctx, "execsnoop", wasm)
//	code, err := mod.Run(ctx, runtime.Config{Stdout: os.Stdout})
//
// It imports no host functions; package node wires both together.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

// MaxModuleSize is the largest module that Load takes, in bytes. Compiling needs
// about twenty times the module's size in memory.
const MaxModuleSize = 64 << 20

// Options configure a Runtime.
type Options struct {
	// Engine runs the code. It is required, and stays the caller's to close.
	Engine engine.Engine
	// Providers offer the host functions; WASI is always there.
	Providers []engine.Provider
	// TableLimit caps the elements that the tables of one instance have together.
	// Zero means DefaultTableLimit, and more than that means it, too.
	TableLimit uint32
	// InstanceLimit caps how many instances of one module run at a time, and
	// TotalInstances how many of all modules of the Runtime together. Zero means no limit.
	InstanceLimit, TotalInstances int
}

// Runtime loads modules for one engine. It is safe for concurrent use.
type Runtime struct {
	engine    engine.Engine
	providers []engine.Provider
	tables    uint32 // elements at most
	instances instanceLimits

	// mu guards the fields that follow, and those of the modules.
	mu      sync.Mutex
	modules map[*Module]struct{}
	running int // instances of all modules
}

// New makes a Runtime. It does no I/O.
func New(opts Options) (*Runtime, error) {
	if opts.Engine == nil {
		return nil, errors.New("new runtime: no engine; give one, such as wazero.New")
	}
	r := &Runtime{engine: opts.Engine, providers: opts.Providers, modules: map[*Module]struct{}{}, tables: DefaultTableLimit}
	if opts.TableLimit > 0 {
		r.tables = min(opts.TableLimit, DefaultTableLimit)
	}
	r.instances = instanceLimits{module: opts.InstanceLimit, total: opts.TotalInstances}
	return r, nil
}

// Close closes the modules that are still open. All runs must have ended. The
// engine stays open.
func (r *Runtime) Close() error {
	r.mu.Lock()
	open := slices.Collect(maps.Keys(r.modules))
	r.mu.Unlock()
	var errs []error
	for _, m := range open {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Module is a loaded plugin. It is safe for concurrent use: every Run makes an
// instance of its own.
type Module struct {
	rt    *Runtime
	name  string
	code  engine.Module
	links []link
	// needsWASI says that the module imports WASI functions.
	needsWASI bool
	runs      sync.WaitGroup
	running   int // instances; guarded by the Runtime's mu
}

// Load checks a module, resolves its imports, and compiles it. The caller
// closes the Module. Errors: [engine.ErrInvalid] (with what the bytes are
// instead), [ErrImport] for an import that nobody provides, [engine.ErrLimit] for
// tables above the limit, [ErrStuck] if compiling goes on after the context is done: the
// engine has to stay open then.
func (r *Runtime) Load(ctx context.Context, name string, wasm []byte) (*Module, error) {
	m, code, err := r.prepare(name, wasm)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	if m.code, err = compile(ctx, r.engine, code); err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	r.mu.Lock()
	r.modules[m] = struct{}{}
	r.mu.Unlock()
	return m, nil
}

// compile compiles on a goroutine of its own, because no engine stops in the midst of it. When the context is done it waits for the
// grace time and then gives up with [ErrStuck]; the goroutine closes what it made.
func compile(ctx context.Context, e engine.Engine, code []byte) (engine.Module, error) {
	type result struct {
		module engine.Module
		err    error
	}
	done := make(chan result)
	gone := make(chan struct{})
	go func() {
		m, err := e.Compile(ctx, code)
		select {
		case done <- result{m, err}:
		case <-gone:
			if err == nil {
				_ = m.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.module, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(DefaultGrace)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.module, r.err
	case <-timer.C:
		close(gone)
		return nil, fmt.Errorf("compiling: %w", ErrStuck)
	}
}

// prepare does all of Load that needs no engine: it answers the module and the
// code to compile, with checks for interruption written into it.
func (r *Runtime) prepare(name string, wasm []byte) (*Module, []byte, error) {
	if len(wasm) > MaxModuleSize {
		return nil, nil, fmt.Errorf("the module has %d MiB, the limit is %d", len(wasm)>>20, MaxModuleSize>>20)
	}
	file, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
	}
	m := &Module{rt: r, name: name}
	if m.links, m.needsWASI, err = resolve(file.Imports, r.providers); err != nil {
		return nil, nil, err
	}
	if wasm, err = limitTables(file, wasm, r.tables); err != nil {
		return nil, nil, err
	}
	code, err := preempt.Rewrite(wasm, preempt.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
	}
	return m, code, nil
}

// Wait blocks until every run has ended, also those that were given up with
// [ErrStuck].
func (m *Module) Wait() { m.runs.Wait() }

// Close frees the compiled code. All runs must have ended. It is idempotent.
func (m *Module) Close() error {
	m.rt.mu.Lock()
	_, open := m.rt.modules[m]
	delete(m.rt.modules, m)
	m.rt.mu.Unlock()
	if !open {
		return nil
	}
	return m.code.Close()
}
