// Package abi is the single source of WASI-eBPF version 1: the functions of import module wasi_ebpf with their parameters, the
// layout of every structure in guest memory, the numbers, and the errno values with their conditions.
//
// The C header, the WIT package, the tables of the specification and the registration of the host functions are made from it or
// compared with it by tests. It depends on nothing and compiles for hosts and for guests.
package abi

import "strings"

// Module is the import module of every function here.
const Module = "wasi_ebpf"

// The version of the contract. A host of version 1.N offers all that 1.0 to 1.N have; what exists never changes its meaning.
const (
	VersionMajor = 1
	VersionMinor = 0
)

// Version is what the function version answers: the major version in the upper 16 bits.
const Version = VersionMajor<<16 | VersionMinor

// Func is one function that a guest may import. Its result is always an i32 [Errno].
type Func struct {
	// Family is the page of the specification that describes it.
	Family string
	// Name is the import's name.
	Name string
	// Doc says what the function does, in one paragraph.
	Doc string
	// Params are in order. One parameter may be two values: see [Kind].
	Params []Param
	// Errnos are the errors of this function besides those that every function can have ([Common]).
	Errnos []Case
	// Blocks says until when the function waits. Empty means that it does not wait.
	Blocks string
	// Kernel is the first Linux that has what the function needs, when that is newer than the map, program or hook it is used on.
	Kernel string
}

// Param is one parameter.
type Param struct {
	Name string
	Kind Kind
	// Of is the kind of object of a handle, or the name of a structure.
	Of string
	// Doc says what it means. Optional parameters say what null or zero means.
	Doc string
	// Optional allows a null pointer or the handle 0.
	Optional bool
}

// Kind is how a parameter travels. The Wasm types are in [Kind.Wasm].
type Kind int

// The kinds of parameters.
const (
	U32       Kind = iota // i32, unsigned
	I32                   // i32, signed
	U64                   // i64, unsigned
	I64                   // i64, signed
	Handle                // i32, an object of this instance
	Text                  // i32 pointer and i32 length of UTF-8 text without NUL
	Bytes                 // i32 pointer and i32 length of bytes that the host reads
	Buffer                // i32 pointer and i32 length of memory that the host fills
	InOut                 // i32 pointer and i32 length of bytes that the host reads and changes
	Struct                // i32 pointer and i32 size of a structure that the host reads
	OutStruct             // i32 pointer and i32 size of memory for a structure
	IOStruct              // i32 pointer and i32 size of a structure that the host reads and changes
	OutU32                // i32 pointer to a u32 that the host writes, 4-byte aligned
	OutU64                // i32 pointer to a u64 that the host writes, 8-byte aligned
	OutHandle             // i32 pointer to an i32 that the host writes, 4-byte aligned
)

// ValueType is the type of a Wasm value.
type ValueType string

// The Wasm types that the contract uses.
const (
	WasmI32 ValueType = "i32"
	WasmI64 ValueType = "i64"
)

// Wasm is the values that a parameter of this kind takes.
func (k Kind) Wasm() []ValueType {
	switch k {
	case U64, I64:
		return []ValueType{WasmI64}
	case Text, Bytes, Buffer, InOut, Struct, OutStruct, IOStruct:
		return []ValueType{WasmI32, WasmI32}
	}
	return []ValueType{WasmI32}
}

// Wasm is the list of the function's parameters as Wasm sees them.
func (f Func) Wasm() []ValueType {
	var out []ValueType
	for _, p := range f.Params {
		out = append(out, p.Kind.Wasm()...)
	}
	return out
}

// Case is one error and the condition for it.
type Case struct {
	Errno Errno
	When  string
}

// The families, which are the pages of the specification, in order.
var Families = []string{"handle", "object", "map", "program", "link", "events", "kernel"}

// Functions lists every function, by family and in the order of the specification. Each call returns a new slice.
func Functions() []Func {
	var out []Func
	for _, list := range [][]Func{handleFuncs(), objectFuncs(), mapFuncs(), programFuncs(), linkFuncs(), eventsFuncs(), kernelFuncs()} {
		out = append(out, list...)
	}
	return out
}

// Lookup finds a function by name.
func Lookup(name string) (Func, bool) {
	for _, f := range Functions() {
		if f.Name == name {
			return f, true
		}
	}
	return Func{}, false
}

// Common are the errors that every function can have, unless its parameters leave no room for them.
func Common() []Case {
	return []Case{
		{FAULT, "A pointer and length do not lie inside the linear memory, or an output pointer is not aligned."},
		{BADF, "A handle is not open in this instance, or names an object of another kind."},
		{INVAL, "A text is not UTF-8 or contains NUL; a flag, number or non-zero reserved field is not defined in this version."},
		{TOOBIG, "A text or structure is larger than the host accepts: texts have at most 4096 bytes, structures at most 4096."},
		{NOTCAPABLE, "The host's policy does not grant it. last_error names the missing grant."},
		{PERM, "The host process lacks a privilege. last_error names it."},
		{NOTSUP, "The kernel lacks what the call needs. last_error names the feature and the kernel that has it."},
		{NOMEM, "Kernel memory, or a limit of this plugin for what it has in the kernel, is used up. last_error names the limit."},
		{MFILE, "The limit of this plugin for handles or files is reached, or the host has no file descriptors left."},
		{IO, "The kernel answered an error that has no number here. last_error has its text."},
	}
}

func in(name, doc string, k Kind) Param { return Param{Name: name, Kind: k, Doc: doc} }

func handle(name, of, doc string) Param { return Param{Name: name, Kind: Handle, Of: of, Doc: doc} }

func maybe(p Param) Param { p.Optional = true; return p }

func structure(name, of, doc string, k Kind) Param {
	return Param{Name: name, Kind: k, Of: of, Doc: doc}
}

func outHandle(of string) Param {
	return Param{Name: "out", Kind: OutHandle, Of: of, Doc: "Receives the handle, which the guest closes."}
}

func outLen() Param {
	return Param{Name: "out_len", Kind: OutU32, Doc: "Receives the whole length in bytes, which may be more than was written."}
}

// cases reads "ERRNO: condition" lines, so that the tables of functions stay readable.
func cases(lines ...string) []Case {
	var out []Case
	for _, l := range lines {
		name, when, _ := strings.Cut(l, ": ")
		no, ok := errnoByName(name)
		if !ok {
			panic("abi: no errno " + name) // a mistake in this package's own tables, found by any test
		}
		out = append(out, Case{no, when})
	}
	return out
}
