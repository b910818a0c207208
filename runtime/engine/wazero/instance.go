package wazero

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental/table"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// instance is one running guest.
type instance struct {
	m       *module
	api     api.Module
	mem     *memory
	wasi    *wasi
	funcs   []func(context.Context, engine.Instance, []uint64) error
	exports map[string]*export
	last    *export // the export called last, before the map is asked
	// elements are table elements that were looked up, by their index, for modules
	// whose tables do not change.
	elements map[uint32]*tableFunc
	depth    int
	ctxs     [maxDepth]callCtx // one for each nesting level, so that calls do not allocate
	closed   bool
	// crossings counts the calls between guest and host.
	crossings uint64
}

var _ engine.Instance = (*instance)(nil)

// export is an exported function. A function that runs must not be called
// through the same api.Function again: its stack would be overwritten.
type export struct {
	name string
	sig  *signature
	fn   api.Function
	busy bool
}

// Call calls an exported function.
func (in *instance) Call(ctx context.Context, name string, typ engine.FuncType, stack []uint64) error {
	x := in.last
	if x == nil || x.name != name {
		var err error
		if x, err = in.export(name); err != nil {
			return err
		}
		in.last = x
	}
	if !x.sig.Equal(typ) || !x.sig.plain {
		return fmt.Errorf("call %s as %s, it is %s: %w", name, typ, x.sig, engine.ErrType)
	}
	if x.busy {
		return in.invoke(ctx, in.api.ExportedFunction(name), x.sig, stack)
	}
	if x.fn == nil {
		x.fn = in.api.ExportedFunction(name)
	}
	x.busy = true
	err := in.invoke(ctx, x.fn, x.sig, stack)
	x.busy = false
	if err != nil {
		x.fn = nil // after a runaway recursion it holds a stack of hundreds of megabytes
	}
	return err
}

func (in *instance) export(name string) (*export, error) {
	if in.closed {
		return nil, fmt.Errorf("call %s: the instance is closed: %w", name, os.ErrClosed)
	}
	if x := in.exports[name]; x != nil {
		return x, nil
	}
	sig := in.m.exports[name]
	if sig == nil {
		return nil, fmt.Errorf("call %s: %w", name, engine.ErrNoExport)
	}
	if in.api == nil {
		return nil, fmt.Errorf("call %s: the instance is not made yet: %w", name, engine.ErrNoExport)
	}
	x := &export{name: name, sig: sig}
	in.exports[name] = x
	return x, nil
}

// invoke runs one guest function on the next nesting level. wazero recovers
// panics under guest code, and tame sees to it that fn is guest code.
func (in *instance) invoke(ctx context.Context, fn api.Function, sig *signature, stack []uint64) error {
	if in.depth == maxDepth {
		return &engine.Trap{Reason: engine.TrapStackExhausted}
	}
	if len(stack) < sig.len {
		return fmt.Errorf("call as %s with a stack of %d slots, it needs %d: %w", sig, len(stack), sig.len, engine.ErrType)
	}
	c := &in.ctxs[in.depth]
	c.Context, c.in = ctx, in
	in.depth++
	in.crossings++
	sig.params.clean(stack)
	err := fn.CallWithStack(c, stack)
	in.depth--
	c.Context = nil
	if err != nil {
		return fault(err)
	}
	sig.results.clean(stack)
	return nil
}

// HasExport tells whether there is an exported function of that name.
func (in *instance) HasExport(name string) (engine.FuncType, bool) {
	sig := in.m.exports[name]
	if sig == nil {
		return engine.FuncType{}, false
	}
	return sig.FuncType, true
}

// Memory is the linear memory as it is now.
func (in *instance) Memory() []byte { return in.mem.view }

// Crossings counts the calls between guest and host.
func (in *instance) Crossings() uint64 { return in.crossings }

// Close frees the instance.
func (in *instance) Close() error {
	if in.depth > 0 {
		return errors.New("close the instance: a host function of it runs, close it after the call has returned")
	}
	if in.closed {
		return nil
	}
	in.closed, in.last, in.exports, in.elements = true, nil, nil, nil
	return errors.Join(in.api.Close(context.Background()), in.wasi.close(), in.mem.release())
}

// maxElements is how many table elements are kept for the next look-up. wazero
// has a stack for each of them, which the guest may make large.
const maxElements = 16

// tableFunc is one element of the function table.
type tableFunc struct {
	in    *instance
	index uint32
	fn    api.Function
	sig   signature
	busy  bool
}

// TableFunc looks an element of the function table up. Where tables do not
// change it gives the same one out again, unless that runs: a function called
// again while it runs would answer wrongly.
func (in *instance) TableFunc(index uint32, typ engine.FuncType) (engine.Func, error) {
	f := in.elements[index]
	if f != nil && !f.busy && f.sig.Equal(typ) {
		return f, nil
	}
	if in.closed {
		return nil, fmt.Errorf("table element %d: the instance is closed: %w", index, os.ErrClosed)
	}
	if in.m.shape.table < 0 || in.api == nil {
		return nil, engine.ErrNoTable
	}
	fresh, err := in.lookup(index, typ)
	if err != nil {
		return nil, err
	}
	if f == nil && in.m.shape.fixed && len(in.elements) < maxElements {
		if in.elements == nil {
			in.elements = map[uint32]*tableFunc{}
		}
		in.elements[index] = fresh
	}
	return fresh, nil
}

// lookup asks wazero for an element.
func (in *instance) lookup(index uint32, typ engine.FuncType) (_ *tableFunc, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = lookupError(index, typ, r)
		}
	}()
	params, results := valueTypes(typ.Params), valueTypes(typ.Results)
	fn := table.LookupFunction(in.api, uint32(in.m.shape.table), index, params, results)
	f := &tableFunc{in: in, index: index, fn: fn, sig: newSignature(fn.Definition())}
	if !f.sig.plain {
		return nil, fmt.Errorf("table element %d is %s: %w", index, f.sig, engine.ErrType)
	}
	return f, nil
}

// lookupError tells wazero's panics apart. Their types are internal to it.
func lookupError(index uint32, typ engine.FuncType, r any) error {
	switch text := fmt.Sprint(r); text {
	case "table index out of range":
		return engine.ErrNoTable
	case "invalid table access":
		return fmt.Errorf("table element %d: %w", index, engine.ErrIndex)
	case "indirect call type mismatch":
		return fmt.Errorf("table element %d is not %s: %w", index, typ, engine.ErrType)
	default:
		return fmt.Errorf("table element %d: wazero panicked, which is a bug in its adapter: %s", index, oneLine(text))
	}
}

func valueTypes(types []engine.ValueType) []api.ValueType {
	out := make([]api.ValueType, len(types))
	for i, t := range types {
		out[i] = api.ValueType(t)
	}
	return out
}

// Call calls the element.
func (f *tableFunc) Call(ctx context.Context, stack []uint64) error {
	if f.in.closed {
		return fmt.Errorf("call a table element: the instance is closed: %w", os.ErrClosed)
	}
	if f.busy {
		return errors.New("call a table element: it runs already, look it up again on this nesting level")
	}
	f.busy = true
	err := f.in.invoke(ctx, f.fn, &f.sig, stack)
	f.busy = false
	if err != nil && f.in.elements[f.index] == f {
		delete(f.in.elements, f.index) // as in instance.Call, for the stack that it holds
	}
	return err
}
