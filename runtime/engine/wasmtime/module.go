//go:build wasmtime && cgo

package wasmtime

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// wasiModule is the import module that the engine itself provides.
const wasiModule = "wasi_snapshot_preview1"

// Module is compiled code. It is safe for concurrent use.
type Module struct {
	e       *Engine
	c       *C.wasmtime_module_t
	imports []importType
	funcs   map[string]engine.FuncType // exported functions
	names   hidden

	closeOnce sync.Once
}

var _ engine.Module = (*Module)(nil)

// importType is one import as the module declares it; what says what it is when it
// is no function.
type importType struct {
	engine.Import
	what string
}

func newModule(e *Engine, c *C.wasmtime_module_t, names hidden) *Module {
	m := &Module{e: e, c: c, names: names, funcs: map[string]engine.FuncType{}}

	var imports C.wasm_importtype_vec_t
	C.wasmtime_module_imports(c, &imports)
	defer C.wasm_importtype_vec_delete(&imports)
	for _, it := range unsafe.Slice(imports.data, imports.size) {
		typ := C.wasm_importtype_type(it)
		imp := importType{what: externName(C.wasm_externtype_kind(typ))}
		imp.Module, imp.Name = text(C.wasm_importtype_module(it)), text(C.wasm_importtype_name(it))
		if ft := C.wasm_externtype_as_functype_const(typ); ft != nil {
			imp.Type, imp.what = goType(ft), ""
		}
		m.imports = append(m.imports, imp)
	}

	var exports C.wasm_exporttype_vec_t
	C.wasmtime_module_exports(c, &exports)
	defer C.wasm_exporttype_vec_delete(&exports)
	for _, et := range unsafe.Slice(exports.data, exports.size) {
		ft := C.wasm_externtype_as_functype_const(C.wasm_exporttype_type(et))
		if name := text(C.wasm_exporttype_name(et)); ft != nil && name != names.start {
			m.funcs[name] = goType(ft)
		}
	}
	return m
}

func externName(kind C.uint8_t) string {
	switch kind {
	case C.WASM_EXTERN_GLOBAL:
		return "global"
	case C.WASM_EXTERN_TABLE:
		return "table"
	case C.WASM_EXTERN_MEMORY:
		return "memory"
	}
	return "item"
}

// Close frees the code. Close all instances before.
func (m *Module) Close() error {
	m.closeOnce.Do(func() { C.wasmtime_module_delete(m.c) })
	return nil
}

// Instantiate makes an instance and runs its start function; it is the caller's
// to close. Errors: an import that cfg does not answer, [engine.MemoryError],
// arguments that are not valid for WASI, a directory that cannot be
// opened, and those of [engine.Instance.Call] for the start function.
func (m *Module) Instantiate(ctx context.Context, cfg engine.InstanceConfig) (engine.Instance, error) {
	limit := cfg.MemoryLimit
	if limit == 0 || limit > 1<<32-pageSize {
		limit = 1<<32 - pageSize
	}
	if need := m.names.memoryMin * pageSize; need > limit {
		return nil, fmt.Errorf("instantiate: %w", &engine.MemoryError{Need: need, Limit: limit})
	}
	in, err := m.start(ctx, cfg, limit)
	if err != nil {
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	return in, nil
}

func (m *Module) start(ctx context.Context, cfg engine.InstanceConfig, limit uint64) (*Instance, error) {
	in := &Instance{m: m, exports: map[string]*fn{}, elements: map[uint64]*fn{}}
	in.handle = live.add(in)
	in.c = C.bowline_instance_new(m.e.c, C.uint64_t(in.handle), C.int64_t(limit), maxTable)
	if in.c == nil {
		live.remove(in.handle)
		return nil, fmt.Errorf("make a store: out of memory")
	}
	err := in.link(cfg)
	if err == nil {
		err = in.begin(ctx)
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// link answers the imports and makes the instance.
func (in *Instance) link(cfg engine.InstanceConfig) error {
	if cfg.WASI != nil {
		if err := in.openWASI(cfg.WASI); err != nil {
			return err
		}
	}
	n := len(in.m.imports)
	in.hosts = (*C.struct_bowline_host)(C.calloc(C.size_t(n+1), C.sizeof_struct_bowline_host))
	hosts := unsafe.Slice(in.hosts, n+1)
	externs := make([]C.wasmtime_extern_t, n+1)
	for i, imp := range in.m.imports {
		if err := in.resolve(imp, cfg.Funcs, &hosts[i], &externs[i]); err != nil {
			return err
		}
	}
	if C.bowline_instantiate(in.c, in.m.c, &externs[0], C.size_t(n), &in.c.instance) != 0 {
		return fmt.Errorf("put the data and element segments in place: %s", in.fault())
	}
	return nil
}

// resolve finds what answers one import: with WASI our own functions and then
// Wasmtime's, else the first of funcs with this name and type.
func (in *Instance) resolve(imp importType, funcs []engine.HostFunc, h *C.struct_bowline_host,
	out *C.wasmtime_extern_t) error {
	if imp.what != "" {
		return fmt.Errorf("import %s.%s is a %s; the host gives functions only", imp.Module, imp.Name, imp.what)
	}
	if imp.Module == wasiModule {
		return in.resolveWASI(imp.Import, h, out)
	}
	named := func(f engine.HostFunc) bool { return f.Module == imp.Module && f.Name == imp.Name }
	typed := func(f engine.HostFunc) bool { return named(f) && f.Type.Equal(imp.Type) }
	if i := slices.IndexFunc(funcs, typed); i >= 0 {
		return in.offer(funcs[i], h, out)
	}
	if i := slices.IndexFunc(funcs, named); i >= 0 {
		return fmt.Errorf("import %s.%s has type %s in the module, the host gives %s",
			imp.Module, imp.Name, imp.Type, funcs[i].Type)
	}
	return fmt.Errorf("import %s.%s %s: nobody provides it", imp.Module, imp.Name, imp.Type)
}

// offer makes an import of a host function.
func (in *Instance) offer(f engine.HostFunc, h *C.struct_bowline_host, out *C.wasmtime_extern_t) error {
	shape, err := shapeOf(f.Type)
	if err != nil {
		return fmt.Errorf("host function %s.%s: %w", f.Module, f.Name, err)
	}
	h.narrow_params, h.narrow_results = shape.narrow_params, shape.narrow_results
	h.nparams, h.nresults = shape.nparams, shape.nresults
	h.index = C.uint32_t(len(in.funcs))
	in.funcs = append(in.funcs, f)
	typ := cType(f.Type)
	defer C.wasm_functype_delete(typ)
	C.bowline_host_new(in.c, h, typ, out)
	return nil
}
