//go:build wasmtime && cgo

package wasmtime

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// Instance is one running guest, used by one goroutine at a time.
type Instance struct {
	m      *Module
	c      *C.struct_bowline_instance
	handle uint64
	hosts  *C.struct_bowline_host
	funcs  []engine.HostFunc // by the index that the C side knows

	wasi     *wasi
	exports  map[string]*fn
	elements map[uint64]*fn // functions out of the table, by identity
	element  C.struct_bowline_func

	ctx     context.Context // of the call that runs, for host functions
	pending error           // why the host function that just failed did
}

var _ engine.Instance = (*Instance)(nil)

// begin finds the parts of the new instance, and runs its start function.
func (in *Instance) begin(ctx context.Context) error {
	if name := in.m.names.memory; name != "" {
		p, n := chars(name)
		C.bowline_find_memory(in.c, p, n)
	}
	if name := in.m.names.table; name != "" {
		p, n := chars(name)
		C.bowline_find_table(in.c, p, n)
	}
	if in.m.names.start == "" {
		return nil
	}
	f, err := in.find(&in.c.instance, in.m.names.start, engine.FuncType{})
	if err != nil {
		return err
	}
	return f.Call(ctx, nil)
}

// Call calls an exported function, see [engine.Instance]. After Close it returns
// [os.ErrClosed].
func (in *Instance) Call(ctx context.Context, name string, typ engine.FuncType, stack []uint64) error {
	f := in.exports[name]
	if f == nil {
		if in.c == nil {
			return os.ErrClosed
		}
		actual, ok := in.m.funcs[name]
		if !ok {
			return fmt.Errorf("export %q: %w", name, engine.ErrNoExport)
		}
		var err error
		if f, err = in.find(&in.c.instance, name, actual); err != nil {
			return err
		}
		in.exports[name] = f
	}
	if !f.typ.Equal(typ) {
		return fmt.Errorf("export %q: %w: it is %s, the call wants %s", name, engine.ErrType, f.typ, typ)
	}
	return f.Call(ctx, stack)
}

// find makes a fn of an export.
func (in *Instance) find(c *C.wasmtime_instance_t, name string, typ engine.FuncType) (*fn, error) {
	shape, err := shapeOf(typ)
	if err != nil {
		return nil, fmt.Errorf("export %q: %w", name, err)
	}
	f := &fn{in: in, c: shape, typ: typ}
	p, n := chars(name)
	if !C.bowline_find_func(in.c, c, p, n, &f.c) {
		return nil, fmt.Errorf("export %q: %w", name, engine.ErrNoExport)
	}
	return f, nil
}

// TableFunc looks an element of the function table up, see [engine.Instance].
// After Close it returns [os.ErrClosed].
func (in *Instance) TableFunc(index uint32, typ engine.FuncType) (engine.Func, error) {
	if in.c == nil {
		return nil, os.ErrClosed
	}
	if !in.c.has_table {
		return nil, engine.ErrNoTable
	}
	if C.bowline_table_func(in.c, C.uint32_t(index), &in.element) != 0 {
		return nil, fmt.Errorf("table index %d: %w", index, engine.ErrIndex)
	}
	c := in.element
	f := in.elements[uint64(c.ref)]
	if f == nil {
		t := C.bowline_func_type(in.c, &in.element)
		actual := goType(t)
		C.wasm_functype_delete(t)
		f = &fn{in: in, typ: actual}
		f.c, f.err = shapeOf(actual)
		f.c.store_id, f.c.ref = c.store_id, c.ref
		in.elements[uint64(c.ref)] = f
	}
	if !f.typ.Equal(typ) {
		return nil, fmt.Errorf("table index %d: %w: it is %s, the call wants %s", index, engine.ErrType, f.typ, typ)
	}
	if f.err != nil {
		return nil, fmt.Errorf("table index %d: %w", index, f.err)
	}
	return f, nil
}

// HasExport tells the type of an exported function.
func (in *Instance) HasExport(name string) (engine.FuncType, bool) {
	t, ok := in.m.funcs[name]
	return t, ok
}

// Memory is the linear memory as it is now. It does not move while the instance
// lives, but a slice shows the length that it had.
func (in *Instance) Memory() []byte {
	if in.c == nil || !in.c.has_memory {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(in.c.mem)), in.c.mem_len)
}

// Crossings counts the calls between guest and host.
func (in *Instance) Crossings() uint64 {
	if in.c == nil {
		return 0
	}
	return uint64(in.c.crossings)
}

// Close frees the instance, memory included. It is idempotent, and refuses
// to work inside a host function.
func (in *Instance) Close() error {
	if in.c == nil {
		return nil
	}
	if in.ctx != nil {
		return errors.New("close instance: a call of it is still running")
	}
	C.bowline_instance_delete(in.c)
	C.free(unsafe.Pointer(in.hosts))
	live.remove(in.handle)
	in.c, in.hosts = nil, nil
	return nil
}

// fn is a guest function. It holds no state of a call, so it may be re-entered.
type fn struct {
	in  *Instance
	c   C.struct_bowline_func
	typ engine.FuncType
	err error // why it cannot be called
}

// Call calls the function, see [engine.Func].
func (f *fn) Call(ctx context.Context, stack []uint64) error {
	in := f.in
	if in.c == nil {
		return os.ErrClosed
	}
	if len(stack) < f.typ.StackLen() {
		return fmt.Errorf("call of type %s: the stack has %d slots, %d are needed", f.typ, len(stack), f.typ.StackLen())
	}
	outer := in.ctx
	in.ctx = ctx
	failed := C.bowline_call(in.c, &f.c, (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(stack))))
	in.ctx = outer
	if failed != 0 {
		return in.fault()
	}
	return nil
}

// fault makes an error of the outcome of the last call, and clears it.
func (in *Instance) fault() error {
	trap, cerr := in.c.trap, in.c.error
	in.c.trap, in.c.error = nil, nil
	err := in.pending
	in.pending = nil
	switch {
	case err != nil:
		if trap != nil {
			C.wasm_trap_delete(trap)
		}
		if cerr != nil {
			C.wasmtime_error_delete(cerr)
		}
		return err
	case trap != nil:
		return takeTrap(trap)
	}
	var frames C.wasm_frame_vec_t
	C.wasmtime_error_wasm_trace(cerr, &frames)
	if stack := goFrames(&frames); len(stack) > 0 {
		return &engine.Trap{Reason: take(cerr).Error(), Stack: stack}
	}
	return take(cerr)
}

// chars is the memory of a string, for calls that do not keep it.
func chars(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}
