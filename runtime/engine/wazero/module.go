package wazero

import (
	"context"
	"errors"
	"fmt"

	wz "github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/bowline-edge/bowline/runtime/engine"
)

const wasiModule = wasi_snapshot_preview1.ModuleName

// module is one compiled module in a runtime of its own, because wazero finds
// imports by the names of modules in the runtime.
type module struct {
	rt      wz.Runtime
	code    wz.CompiledModule
	own     wz.CompilationCache // nil if the code is in the engine's shared cache
	shape   shape
	imports []*trampoline // without those of WASI
	exports map[string]*signature
	wasi    bool  // whether it imports WASI
	unbound error // why no instance can be made, found out from imports alone
}

var _ engine.Module = (*module)(nil)

// describe lists exports and imports and makes the host modules.
func (m *module) describe(ctx context.Context) error {
	m.exports = map[string]*signature{}
	for name, def := range m.code.ExportedFunctions() {
		sig := newSignature(def)
		m.exports[name] = &sig
	}
	if m.shape.foreign != "" {
		m.unbound = fmt.Errorf("import of %s: nobody provides it, a host gives functions only", m.shape.foreign)
	}
	seen := map[[2]string]*trampoline{}
	builders := map[string]wz.HostModuleBuilder{}
	for _, def := range m.code.ImportedFunctions() {
		mod, name, _ := def.Import()
		if mod == wasiModule {
			m.wasi = true
			continue
		}
		t := &trampoline{module: mod, name: name, index: len(m.imports), sig: newSignature(def)}
		if old := seen[[2]string{mod, name}]; old != nil {
			if !old.sig.Equal(t.sig.FuncType) {
				m.unbound = fmt.Errorf("import %s.%s is declared as %s and as %s: wazero binds one type for a name", mod, name, old.sig, t.sig)
			}
			continue
		}
		if !t.sig.plain {
			m.unbound = fmt.Errorf("import %s.%s %s: host functions take and give numbers only", mod, name, t.sig)
			continue
		}
		seen[[2]string{mod, name}] = t
		m.imports = append(m.imports, t)
		if builders[mod] == nil {
			builders[mod] = m.rt.NewHostModuleBuilder(mod)
		}
		builders[mod].NewFunctionBuilder().WithGoModuleFunction(t, def.ParamTypes(), def.ResultTypes()).Export(name)
	}
	if m.wasi {
		b := m.rt.NewHostModuleBuilder(wasiModule)
		wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(procExit), []api.ValueType{api.ValueTypeI32}, nil).Export("proc_exit")
		builders[wasiModule] = b
	}
	for name, b := range builders {
		if name == "" {
			m.unbound = errors.New("import module with an empty name: nobody provides it")
			continue
		}
		bctx := ctx
		if name == wasiModule {
			bctx = experimental.WithFunctionListenerFactory(ctx, callCounter{})
		}
		if _, err := b.Instantiate(bctx); err != nil {
			return fmt.Errorf("make the import module %s: %s", name, oneLine(err.Error()))
		}
	}
	return nil
}

// procExit unwinds the guest. Unlike wazero's own it leaves the instance alone:
// its owner closes it.
func procExit(_ context.Context, _ api.Module, stack []uint64) {
	panic(sys.NewExitError(uint32(stack[0])))
}

// bind finds a host function for every import.
func (m *module) bind(cfg engine.InstanceConfig) ([]func(context.Context, engine.Instance, []uint64) error, error) {
	if m.unbound != nil {
		return nil, m.unbound
	}
	if m.wasi && cfg.WASI == nil {
		return nil, fmt.Errorf("import module %s: this instance gets no WASI", wasiModule)
	}
	funcs := make([]func(context.Context, engine.Instance, []uint64) error, len(m.imports))
	for _, t := range m.imports {
		var other *engine.HostFunc
		for i := range cfg.Funcs {
			f := &cfg.Funcs[i]
			if f.Name != t.name || f.Module != t.module {
				continue
			}
			if f.Type.Equal(t.sig.FuncType) {
				funcs[t.index] = f.Call
				break
			}
			other = f
		}
		switch {
		case funcs[t.index] != nil:
		case other != nil:
			return nil, fmt.Errorf("import %s.%s %s: it is provided as %s", t.module, t.name, t.sig, other.Type)
		default:
			return nil, fmt.Errorf("import %s.%s %s: nobody provides it", t.module, t.name, t.sig)
		}
	}
	return funcs, nil
}

// Instantiate makes an instance and runs the start function. An initial memory
// above the limit is an [engine.MemoryError].
func (m *module) Instantiate(ctx context.Context, cfg engine.InstanceConfig) (engine.Instance, error) {
	funcs, err := m.bind(cfg)
	if err != nil {
		return nil, err
	}
	in := &instance{m: m, funcs: funcs, mem: newMemory(cfg.MemoryLimit), exports: map[string]*export{}}
	conf := wz.NewModuleConfig().WithName("").WithStartFunctions()
	if cfg.WASI != nil {
		if in.wasi, conf, err = openWASI(cfg.WASI, conf); err != nil {
			return nil, err
		}
	}
	if err := in.start(ctx, conf); err != nil {
		return nil, errors.Join(err, in.wasi.close(), in.mem.release())
	}
	return in, nil
}

// start lets wazero make the instance, on the first nesting level.
func (in *instance) start(ctx context.Context, conf wz.ModuleConfig) (err error) {
	c := &in.ctxs[0]
	c.Context, c.in = ctx, in
	c.base = experimental.WithMemoryAllocator(context.Background(), in.mem)
	in.depth++
	defer func() {
		in.depth--
		c.Context, c.base = nil, nil
		if r := recover(); r != nil {
			err = rescue(r)
		}
	}()
	mod, err := in.m.rt.InstantiateModule(c, in.m.code, conf)
	if err != nil {
		return instantiateFault(err)
	}
	in.api = mod
	return nil
}

// Close frees the code.
func (m *module) Close() error {
	ctx := context.Background()
	err := errors.Join(m.code.Close(ctx), m.rt.Close(ctx))
	if m.own != nil {
		err = errors.Join(err, m.own.Close(ctx))
	}
	return err
}
