// Package wasmfile reads the binary format of core WebAssembly modules:
// version 2.0 of the core specification, plus tail calls, extended constant
// expressions, atomics, and tags as far as decoding goes.
//
// It decodes and checks counts, sizes and indices, but not types: an engine
// still has to validate the module. A [File] shares the bytes that it was read
// from; do not change them while it is in use.
package wasmfile

import "github.com/bowline-edge/bowline/runtime/engine"

// Kind is what an import or an export is.
type Kind byte

// The kinds, in their binary encoding.
const (
	KindFunc   Kind = 0
	KindTable  Kind = 1
	KindMemory Kind = 2
	KindGlobal Kind = 3
	KindTag    Kind = 4
)

// String is the word of the text format.
func (k Kind) String() string {
	switch k {
	case KindFunc:
		return "func"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return "unknown"
}

// Limits are the size limits of a memory (in pages of 64 KiB) or a table (in
// elements).
type Limits struct {
	Min uint32
	// Max is meaningful only if HasMax is set.
	Max    uint32
	HasMax bool
}

// Table is a table's type.
type Table struct {
	// Elem is FuncRef or ExternRef.
	Elem   engine.ValueType
	Limits Limits
	// Init is what a defined table is filled with. It has no Bytes where the
	// module does not say, which means null.
	Init ConstExpr
}

// Memory is a memory's type.
type Memory struct {
	Limits Limits
	Shared bool
}

// GlobalType is the type of a global.
type GlobalType struct {
	Type    engine.ValueType
	Mutable bool
}

// Global is a global that the module defines.
type Global struct {
	GlobalType
	Init ConstExpr
}

// Import is something that the module wants from outside. Only the field of
// its kind is set.
type Import struct {
	Module, Name string
	Kind         Kind
	// TypeIndex and Type are for functions; TypeIndex is for tags too.
	TypeIndex uint32
	Type      engine.FuncType
	Table     Table
	Memory    Memory
	Global    GlobalType
}

// Export is something that the module shows to the outside.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Code is the body of one defined function.
type Code struct {
	// Offset is where Bytes starts in the file.
	Offset uint64
	// Bytes holds the local declarations and the instructions.
	Bytes []byte
}

// DataSegment is bytes for a memory.
type DataSegment struct {
	// Offset is where Bytes starts in the file.
	Offset uint64
	Bytes  []byte
	// Passive segments are copied by memory.init; the others at instantiation.
	Passive bool
	// Memory is the index of the memory of an active segment.
	Memory uint32
	// MemOffset is the address of an active segment, if MemOffsetKnown: it is a
	// constant and does not depend on an imported global.
	MemOffset      uint64
	MemOffsetKnown bool
}

// CustomSection is a section that has no meaning for execution.
type CustomSection struct {
	Name string
	// Bytes is the content after the name.
	Bytes []byte
	// Offset is where Bytes starts in the file.
	Offset uint64
}

// Section is one section in its place.
type Section struct {
	ID SectionID
	// Name is the name of a custom section, else empty.
	Name string
	// Bytes is the content, for a custom section with its name. Offset is where
	// it starts in the file.
	Bytes  []byte
	Offset uint64
}

// File is a module as the file has it. Index spaces count imports first.
type File struct {
	Types   []engine.FuncType
	Imports []Import
	// Funcs has the type index of each defined function.
	Funcs    []uint32
	Tables   []Table
	Memories []Memory
	// Tags has the type index of each defined tag.
	Tags    []uint32
	Globals []Global
	Exports []Export
	// Start is the index of the start function, nil if there is none.
	Start *uint32
	// Elements is the number of element segments.
	Elements int
	// DataCount is the declared number of data segments, nil if not declared.
	DataCount *uint32
	Code      []Code
	Data      []DataSegment
	Custom    []CustomSection
	// Sections lists all sections in the order of the file.
	Sections []Section
	// Size is the size of the module in bytes.
	Size int

	importedFuncs    []uint32 // type index of each imported function
	importedTables   int
	importedMemories int
	importedGlobals  int
	importedTags     int
}

// FuncType gives the type of a function; imports come first.
func (f *File) FuncType(index uint32) (engine.FuncType, bool) {
	t, ok := f.FuncTypeIndex(index)
	if !ok {
		return engine.FuncType{}, false
	}
	return f.Types[t], true
}

// FuncTypeIndex gives the index in Types of a function's type; imports come
// first.
func (f *File) FuncTypeIndex(index uint32) (uint32, bool) {
	n := uint64(len(f.importedFuncs))
	switch i := uint64(index); {
	case i < n:
		return f.importedFuncs[i], true
	case i < n+uint64(len(f.Funcs)):
		return f.Funcs[i-n], true
	}
	return 0, false
}

// ImportedFuncs is the number of imported functions.
func (f *File) ImportedFuncs() int { return len(f.importedFuncs) }

// NumFuncs is the number of functions, imported ones included.
func (f *File) NumFuncs() int { return len(f.importedFuncs) + len(f.Funcs) }

// NumTables is the number of tables, imported ones included.
func (f *File) NumTables() int { return f.importedTables + len(f.Tables) }

// NumMemories is the number of memories, imported ones included.
func (f *File) NumMemories() int { return f.importedMemories + len(f.Memories) }

// NumGlobals is the number of globals, imported ones included.
func (f *File) NumGlobals() int { return f.importedGlobals + len(f.Globals) }

// NumTags is the number of tags, imported ones included.
func (f *File) NumTags() int { return f.importedTags + len(f.Tags) }

// Export finds an export by its name.
func (f *File) Export(name string) (Export, bool) {
	for _, e := range f.Exports {
		if e.Name == name {
			return e, true
		}
	}
	return Export{}, false
}

// TableType gives the type of a table; imports come first.
func (f *File) TableType(index uint32) (Table, bool) {
	i := uint64(index)
	if n := uint64(f.importedTables); i >= n {
		if i -= n; i >= uint64(len(f.Tables)) {
			return Table{}, false
		}
		return f.Tables[i], true
	}
	for _, imp := range f.Imports {
		if imp.Kind != KindTable {
			continue
		}
		if i == 0 {
			return imp.Table, true
		}
		i--
	}
	return Table{}, false
}

// Memory0 is the type of memory 0, imported or defined.
func (f *File) Memory0() (Memory, bool) {
	for _, i := range f.Imports {
		if i.Kind == KindMemory {
			return i.Memory, true
		}
	}
	if len(f.Memories) > 0 {
		return f.Memories[0], true
	}
	return Memory{}, false
}

// CustomSection finds the first custom section of that name.
func (f *File) CustomSection(name string) (CustomSection, bool) {
	for _, c := range f.Custom {
		if c.Name == name {
			return c, true
		}
	}
	return CustomSection{}, false
}
