//go:build wasmtime && cgo

package wasmtime

import (
	"encoding/binary"
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// rewriteVersion is part of the cache key: it changes when rewrite does.
const rewriteVersion = 1

// hidden names what rewrite made visible, empty where there is nothing.
type hidden struct {
	memory, table, start string
	// memoryMin is the initial size of the module's own memory in pages.
	memoryMin uint64
}

// rewrite makes a copy of a module that the C API can serve: it reaches memories,
// tables and functions only through exports, so memory 0 and table 0 are
// exported, under their usual names if these are free. The start function becomes an
// export and is called by Instantiate, because the C API gives no access to
// an instance that is still starting. Function indexes stay as they are.
func rewrite(f *wasmfile.File, wasm []byte) ([]byte, hidden) {
	var added []wasmfile.Export
	add := func(want string, kind wasmfile.Kind, index uint32) string {
		name := want
		for n := 0; taken(f, name); n++ {
			name = fmt.Sprintf("bowline:%s:%d", want, n)
		}
		added = append(added, wasmfile.Export{Name: name, Kind: kind, Index: index})
		return name
	}
	visible := func(name string, kind wasmfile.Kind) string {
		if e, ok := f.Export(name); ok && e.Kind == kind {
			return name
		}
		return add(name, kind, 0)
	}
	var h hidden
	if f.NumMemories() > 0 {
		h.memory = visible("memory", wasmfile.KindMemory)
	}
	if len(f.Memories) > 0 {
		h.memoryMin = uint64(f.Memories[0].Limits.Min)
	}
	if f.NumTables() > 0 {
		h.table = visible("__indirect_function_table", wasmfile.KindTable)
	}
	if f.Start != nil {
		h.start = add("bowline:start", wasmfile.KindFunc, *f.Start)
	}
	if len(added) == 0 {
		return wasm, h
	}
	return write(f, wasm, added), h
}

func taken(f *wasmfile.File, name string) bool {
	_, ok := f.Export(name)
	return ok
}

// write puts the module together again, with the added exports and without start.
func write(f *wasmfile.File, wasm []byte, added []wasmfile.Export) []byte {
	const header = 8
	out := append(make([]byte, 0, len(wasm)+128*len(added)), wasm[:header]...)
	from, done := header, false
	for _, s := range f.Sections {
		end := int(s.Offset) + len(s.Bytes)
		if !done && s.ID.Order() >= wasmfile.SectionExport.Order() {
			out = appendExports(out, f, added)
			done = true
		}
		if s.ID != wasmfile.SectionExport && s.ID != wasmfile.SectionStart {
			out = append(out, wasm[from:end]...)
		}
		from = end
	}
	if !done {
		out = appendExports(out, f, added)
	}
	return out
}

// appendExports appends an export section with what the module has and more.
func appendExports(out []byte, f *wasmfile.File, added []wasmfile.Export) []byte {
	body := binary.AppendUvarint(nil, uint64(len(f.Exports)+len(added)))
	for _, list := range [][]wasmfile.Export{f.Exports, added} {
		for _, e := range list {
			body = binary.AppendUvarint(body, uint64(len(e.Name)))
			body = append(body, e.Name...)
			body = append(body, byte(e.Kind))
			body = binary.AppendUvarint(body, uint64(e.Index))
		}
	}
	out = append(out, byte(wasmfile.SectionExport))
	out = binary.AppendUvarint(out, uint64(len(body)))
	return append(out, body...)
}
