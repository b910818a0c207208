//go:build wasmtime && cgo

package wasmtime

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// rewriteVersion is part of the cache key: it changes when rewrite does.
const rewriteVersion = 1

// Section numbers and kinds of exports, from the core specification, section 5.5.
const (
	sectionImport = 2
	sectionTable  = 4
	sectionMemory = 5
	sectionExport = 7
	sectionStart  = 8

	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
)

// hidden names what rewrite made visible, empty where there is nothing.
type hidden struct {
	memory, table, start string
	// memoryMin is the initial size of memory 0 in pages.
	memoryMin uint64
}

// rewrite makes a copy of a module that the C API can serve: it reaches memories,
// tables and functions only through exports, so memory 0 and table 0 are
// exported, under their usual names if these are free. The start function becomes an
// export and is called by Instantiate, because the C API gives no access to
// an instance that is still starting. Function indexes stay as they are.
//
// A module that cannot be read is returned as it is: the engine will say what
// is wrong with it.
func rewrite(wasm []byte) ([]byte, hidden) {
	m, err := scan(wasm)
	if err != nil {
		return wasm, hidden{}
	}
	h := hidden{memoryMin: m.memoryMin}
	var added []export
	add := func(want string, kind byte, index uint32) string {
		name := want
		for n := 0; slices.ContainsFunc(m.exports, func(e export) bool { return e.name == name }); n++ {
			name = fmt.Sprintf("bowline:%s:%d", want, n)
		}
		added = append(added, export{name, kind, index})
		m.exports = append(m.exports, added[len(added)-1])
		return name
	}
	if m.memories > 0 {
		if h.memory = m.exported("memory", kindMemory); h.memory == "" {
			h.memory = add("memory", kindMemory, 0)
		}
	}
	if m.tables > 0 {
		if h.table = m.exported("__indirect_function_table", kindTable); h.table == "" {
			h.table = add("__indirect_function_table", kindTable, 0)
		}
	}
	if m.start != nil {
		h.start = add("bowline:start", kindFunc, *m.start)
	}
	if len(added) == 0 {
		return wasm, h
	}
	return m.write(added), h
}

// export is one entry of an export section.
type export struct {
	name  string
	kind  byte
	index uint32
}

// outline is what rewrite needs to know about a module.
type outline struct {
	sections         []section
	exports          []export
	exportEntries    []byte // the entries without their count
	tables, memories uint64 // imported ones included
	memoryMin        uint64
	start            *uint32
}

// section is one section: raw includes its header.
type section struct {
	id        byte
	raw, body []byte
}

func (m *outline) exported(name string, kind byte) string {
	for _, e := range m.exports {
		if e.name == name && e.kind == kind {
			return name
		}
	}
	return ""
}

// write puts the module together again, with the added exports and without start.
func (m *outline) write(added []export) []byte {
	entries := slices.Clone(m.exportEntries)
	for _, e := range added {
		entries = binary.AppendUvarint(entries, uint64(len(e.name)))
		entries = append(entries, e.name...)
		entries = append(entries, e.kind)
		entries = binary.AppendUvarint(entries, uint64(e.index))
	}
	body := append(binary.AppendUvarint(nil, uint64(len(m.exports))), entries...)
	exports := append([]byte{sectionExport}, binary.AppendUvarint(nil, uint64(len(body)))...)
	exports = append(exports, body...)

	out := append([]byte(nil), header...)
	done := false
	for _, s := range m.sections {
		if !done && s.id >= sectionExport && s.id <= 12 {
			out = append(out, exports...)
			done = true
		}
		if s.id != sectionExport && s.id != sectionStart {
			out = append(out, s.raw...)
		}
	}
	if !done {
		out = append(out, exports...)
	}
	return out
}

var header = []byte("\x00asm\x01\x00\x00\x00")

// scan reads the outline of a module.
func scan(wasm []byte) (*outline, error) {
	r := &reader{rest: wasm}
	if string(r.bytes(uint64(len(header)))) != string(header) {
		return nil, errShort
	}
	m := &outline{}
	for len(r.rest) > 0 && r.err == nil {
		whole := r.rest
		id := r.byte()
		body := r.bytes(r.uint())
		if r.err != nil {
			break
		}
		m.sections = append(m.sections, section{id, whole[:len(whole)-len(r.rest)], body})
		if err := m.read(id, &reader{rest: body}); err != nil {
			return nil, err
		}
	}
	return m, r.err
}

func (m *outline) read(id byte, r *reader) error {
	switch id {
	case sectionImport:
		m.imports(r)
	case sectionTable:
		m.tables += r.uint()
	case sectionMemory:
		if n := r.uint(); n > 0 {
			m.memories += n
			r.byte()
			m.memoryMin = r.uint()
		}
	case sectionExport:
		n := r.uint()
		m.exportEntries = r.rest
		for range n {
			e := export{name: string(r.bytes(r.uint())), kind: r.byte(), index: uint32(r.uint())}
			if r.err != nil {
				break
			}
			m.exports = append(m.exports, e)
		}
	case sectionStart:
		index := uint32(r.uint())
		m.start = &index
	}
	return r.err
}

func (m *outline) imports(r *reader) {
	for range r.uint() {
		r.bytes(r.uint())
		r.bytes(r.uint())
		switch r.byte() {
		case kindFunc:
			r.uint()
		case kindTable:
			m.tables++
			r.byte()
			r.limits()
		case kindMemory:
			m.memories++
			r.limits()
		case kindGlobal:
			r.byte()
			r.byte()
		default:
			r.err = errShort
		}
		if r.err != nil {
			return
		}
	}
}
