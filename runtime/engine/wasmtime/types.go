//go:build wasmtime && cgo

package wasmtime

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// maxSlots is how many parameters or results a function may have that crosses
// between host and guest: the masks have 64 bits.
const maxSlots = 64

// shapeOf tells how a function's values lie in a stack. Errors: [engine.ErrType]
// for types that no stack slot holds.
func shapeOf(t engine.FuncType) (f C.struct_bowline_func, err error) {
	if t.StackLen() > maxSlots {
		return f, fmt.Errorf("%w: more than %d parameters or results", engine.ErrType, maxSlots)
	}
	mask := func(types []engine.ValueType) (m C.uint64_t) {
		for i, v := range types {
			switch v {
			case engine.I32, engine.F32:
				m |= 1 << i
			case engine.I64, engine.F64:
			default:
				err = fmt.Errorf("%w: a %s cannot cross between host and guest", engine.ErrType, v)
			}
		}
		return m
	}
	f.narrow_params, f.narrow_results = mask(t.Params), mask(t.Results)
	f.nparams, f.nresults = C.uint32_t(len(t.Params)), C.uint32_t(len(t.Results))
	return f, err
}

// cType makes a function type of numbers for the C API; the caller deletes it.
func cType(t engine.FuncType) *C.wasm_functype_t {
	kinds := make([]C.uint8_t, 0, maxSlots)
	for _, list := range [][]engine.ValueType{t.Params, t.Results} {
		for _, v := range list {
			kinds = append(kinds, C.uint8_t(engine.I32-v))
		}
	}
	return C.bowline_functype_new(unsafe.SliceData(kinds), C.size_t(len(t.Params)), C.size_t(len(t.Results)))
}

func goType(t *C.wasm_functype_t) engine.FuncType {
	return engine.FuncType{Params: goTypes(C.wasm_functype_params(t)), Results: goTypes(C.wasm_functype_results(t))}
}

func goTypes(v *C.wasm_valtype_vec_t) []engine.ValueType {
	var types []engine.ValueType
	for _, t := range unsafe.Slice(v.data, v.size) {
		switch kind := C.wasm_valtype_kind(t); {
		case kind <= 4: // i32 i64 f32 f64 v128, downwards from 0x7f in the binary encoding
			types = append(types, engine.I32-engine.ValueType(kind))
		case kind == C.WASM_FUNCREF:
			types = append(types, engine.FuncRef)
		default:
			types = append(types, engine.ExternRef)
		}
	}
	return types
}

func text(v *C.wasm_byte_vec_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(v.data)), v.size))
}

// take makes a Go error of one of the library's, which it deletes.
func take(e *C.wasmtime_error_t) error {
	if e == nil {
		return nil
	}
	defer C.wasmtime_error_delete(e)
	var msg C.wasm_byte_vec_t
	C.wasmtime_error_message(e, &msg)
	defer C.wasm_byte_vec_delete(&msg)
	return errors.New(oneLine(text(&msg)))
}

// oneLine joins the lines of a message: the library numbers the causes on lines
// of their own.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\nStack backtrace:")
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\x00", "")), " ")
}

// trapReasons is indexed by wasmtime_trap_code_t.
var trapReasons = [...]string{
	engine.TrapStackExhausted, engine.TrapMemory, "misaligned atomic access", engine.TrapTable,
	engine.TrapIndirectNull, engine.TrapIndirectType, engine.TrapOverflow, engine.TrapDivideByZero,
	engine.TrapBadConversion, engine.TrapUnreachable,
}

// takeTrap makes a Go error of a trap, which it deletes.
func takeTrap(t *C.wasm_trap_t) *engine.Trap {
	defer C.wasm_trap_delete(t)
	out := &engine.Trap{}
	var code C.uint8_t
	if C.wasmtime_trap_code(t, &code) && int(code) < len(trapReasons) {
		out.Reason = trapReasons[code]
	} else {
		var msg C.wasm_byte_vec_t
		C.wasm_trap_message(t, &msg)
		out.Reason = oneLine(text(&msg))
		C.wasm_byte_vec_delete(&msg)
	}
	var frames C.wasm_frame_vec_t
	C.wasm_trap_trace(t, &frames)
	out.Stack = goFrames(&frames)
	return out
}

// goFrames names the guest's frames, innermost first, and deletes the vector.
func goFrames(frames *C.wasm_frame_vec_t) []string {
	defer C.wasm_frame_vec_delete(frames)
	var stack []string
	for _, f := range unsafe.Slice(frames.data, frames.size) {
		name := fmt.Sprintf("function %d", uint32(C.wasm_frame_func_index(f)))
		if n := C.wasmtime_frame_func_name(f); n != nil {
			name = text(n)
		}
		stack = append(stack, fmt.Sprintf("%s at offset %#x", name, uint64(C.wasm_frame_module_offset(f))))
	}
	return stack
}
