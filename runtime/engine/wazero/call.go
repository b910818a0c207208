package wazero

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// maxDepth is how many calls into one instance may be nested through host
// functions. Every level takes Go stack, which has no trap of its own.
const maxDepth = 64

// callCtx is the context that wazero carries from a call to the trampolines of
// its host functions. It never leaves this package.
type callCtx struct {
	context.Context // what the caller gave, for host functions
	in              *instance
	base            context.Context // answers wazero's own look-ups, nil for none
}

// Value answers wazero, which asks for its own keys at every call.
func (c *callCtx) Value(key any) any {
	if c.base == nil {
		return nil
	}
	return c.base.Value(key)
}

// slots are the stack slots that hold 32-bit values.
type slots []uint8

func slotsOf(types []engine.ValueType) slots {
	var s slots
	for i, t := range types {
		if t == engine.I32 || t == engine.F32 {
			s = append(s, uint8(i))
		}
	}
	return s
}

// clean zeroes the upper halves, which the engines leave undefined.
func (s slots) clean(stack []uint64) {
	for _, i := range s {
		stack[i] = uint64(uint32(stack[i]))
	}
}

// signature is a function type, ready for calls.
type signature struct {
	engine.FuncType
	len             int
	params, results slots
	plain           bool // only numbers, so that one value is one slot
}

func newSignature(def api.FunctionDefinition) signature {
	conv := func(ts []api.ValueType) (vs []engine.ValueType) {
		for _, t := range ts {
			vs = append(vs, engine.ValueType(t))
		}
		return vs
	}
	t := engine.FuncType{Params: conv(def.ParamTypes()), Results: conv(def.ResultTypes())}
	s := signature{FuncType: t, len: t.StackLen(), plain: t.StackLen() <= 255}
	for _, vs := range [][]engine.ValueType{t.Params, t.Results} {
		for _, v := range vs {
			s.plain = s.plain && (v == engine.I32 || v == engine.I64 || v == engine.F32 || v == engine.F64)
		}
	}
	if s.plain {
		s.params, s.results = slotsOf(t.Params), slotsOf(t.Results)
	}
	return s
}

// trampoline stands for one imported function in all instances of a module.
type trampoline struct {
	module, name string
	index        int
	sig          signature
}

var _ api.GoModuleFunction = (*trampoline)(nil)

// Call finds the instance that called and its host function. A host function's
// error unwinds the guest by a panic that wazero, or invoke, recovers.
func (t *trampoline) Call(ctx context.Context, mod api.Module, stack []uint64) {
	c, ok := ctx.(*callCtx)
	if !ok {
		panic(&hostError{t, fmt.Errorf("wazero passes a context of type %T, which is a bug in its adapter", ctx)})
	}
	in := c.in
	if in.api == nil && mod != nil && mod.Name() == "" {
		in.api = mod // the start function runs before the instance is known
	}
	in.crossings++
	t.sig.params.clean(stack)
	if err := in.funcs[t.index](c.Context, in, stack); err != nil {
		panic(&hostError{t, err})
	}
	t.sig.results.clean(stack)
}

// hostError is what a host function returned, on its way through wazero.
type hostError struct {
	t   *trampoline
	err error
}

// Error names the function once, the innermost of nested ones.
func (e *hostError) Error() string {
	if _, ok := errors.AsType[*hostError](e.err); ok {
		return e.err.Error()
	}
	return fmt.Sprintf("%s.%s: %v", e.t.module, e.t.name, e.err)
}

func (e *hostError) Unwrap() error { return e.err }
