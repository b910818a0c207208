package engine

import (
	"slices"
	"strings"
)

// ValueType is a WebAssembly value type in its binary encoding.
type ValueType byte

// The value types, from the core specification, section 5.3.1.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// String is the name in the text format.
func (v ValueType) String() string {
	switch v {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown"
}

// FuncType is the type of a function.
type FuncType struct {
	Params, Results []ValueType
}

// Equal tells whether two types are the same.
func (t FuncType) Equal(u FuncType) bool {
	return slices.Equal(t.Params, u.Params) && slices.Equal(t.Results, u.Results)
}

// String reads like "(i32, i64) -> i32".
func (t FuncType) String() string {
	list := func(vs []ValueType) string {
		names := make([]string, len(vs))
		for i, v := range vs {
			names[i] = v.String()
		}
		return strings.Join(names, ", ")
	}
	s := "(" + list(t.Params) + ")"
	switch len(t.Results) {
	case 0:
		return s
	case 1:
		return s + " -> " + list(t.Results)
	}
	return s + " -> (" + list(t.Results) + ")"
}

// StackLen is the number of slots that a call of this type needs.
func (t FuncType) StackLen() int { return max(len(t.Params), len(t.Results)) }
