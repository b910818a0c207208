// Package wasmbpf is the import module wasm_bpf: it runs plugins that were
// written for wasm-bpf, unchanged. It is a thin layer over package session, as wasi_ebpf
// is: handles are the instance's own; a guest never sees or uses a file descriptor of the host.
//
// The results are those of the ancestor's C++ runtime where a plugin could tell
// the difference; docs/rationale.md lists where we differ and why.
package wasmbpf

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// The import modules: the second is what TinyGo's plugins call to poll.
const (
	ModuleName  = "wasm_bpf"
	WrapperName = "callback-wrapper"
)

// Provider offers the wasm_bpf functions. The zero value is ready.
type Provider struct {
	// Options are what each instance may use.
	Options session.Options
}

var _ engine.Provider = Provider{}

// function is one entry of the interface: the Go method gets the raw stack and
// answers what goes into its first slot.
type function struct {
	imp  engine.Import
	call func(*instance, context.Context, engine.Instance, []uint64) (uint64, error)
}

func sig(module, name string, result engine.ValueType, params ...engine.ValueType) engine.Import {
	return engine.Import{Module: module, Name: name, Type: engine.FuncType{
		Params: params, Results: []engine.ValueType{result},
	}}
}

// functions is the whole interface, in one ordered list. Two names stand twice:
// the ancestor's Rust and Go SDKs declare the pointers of map_operate as i64.
func functions() []function {
	const i, l = engine.I32, engine.I64
	return []function{
		{sig(ModuleName, "wasm_load_bpf_object", l, i, i), (*instance).load},
		{sig(ModuleName, "wasm_close_bpf_object", i, l), (*instance).closeObject},
		{sig(ModuleName, "wasm_attach_bpf_program", i, l, i, i), (*instance).attach},
		{sig(ModuleName, "wasm_bpf_map_fd_by_name", i, l, i), (*instance).mapByName},
		{sig(ModuleName, "wasm_bpf_buffer_poll", i, l, i, i, i, i, i, i), (*instance).poll},
		{sig(ModuleName, "wasm_bpf_map_operate", i, i, i, i, i, i, l), (*instance).mapOperate},
		{sig(ModuleName, "wasm_bpf_map_operate", i, i, i, l, l, l, l), (*instance).mapOperate},
		{sig(WrapperName, "wasm_bpf_buffer_poll", i, l, i, i, i, i, i), (*instance).pollExport},
	}
}

// Offers lists the functions of the interface.
func (Provider) Offers() []engine.Import {
	var offers []engine.Import
	for _, f := range functions() {
		offers = append(offers, f.imp)
	}
	return offers
}

// Bind makes the state of one instance. It owns nothing yet.
func (p Provider) Bind(env engine.Env) (engine.Bound, error) {
	o := p.Options
	o.Closing = env.Closing
	return &instance{env: env, s: session.New(o), objects: map[int32]*object{}}, nil
}

// instance is what one guest has open: the session holds it, beside it is only what
// this interface adds.
type instance struct {
	env     engine.Env
	s       *session.Session
	objects map[int32]*object // by handle
}

var _ engine.Bound = (*instance)(nil)

// Func binds one import to this instance.
func (s *instance) Func(imp engine.Import) engine.HostFunc {
	for _, f := range functions() {
		if f.imp.Module == imp.Module && f.imp.Name == imp.Name && f.imp.Type.Equal(imp.Type) {
			return engine.HostFunc{
				Module: imp.Module, Name: imp.Name, Type: imp.Type,
				Call: func(ctx context.Context, in engine.Instance, stack []uint64) error {
					result, err := f.call(s, ctx, in, stack)
					if err != nil {
						return err
					}
					stack[0] = result
					return nil
				},
			}
		}
	}
	return engine.HostFunc{}
}

// fail is the i32 result for an error number, as the guest expects it: negative.
func fail(no unix.Errno) uint64 { return i32(-int(no)) }

// i32 is a result of that type in its stack slot.
func i32(n int) uint64 { return uint64(uint32(int32(n))) }
