package wasmfile

import (
	"fmt"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// SectionID tells what a section holds.
type SectionID byte

// The sections, in their binary encoding.
const (
	SectionCustom    SectionID = 0
	SectionType      SectionID = 1
	SectionImport    SectionID = 2
	SectionFunction  SectionID = 3
	SectionTable     SectionID = 4
	SectionMemory    SectionID = 5
	SectionGlobal    SectionID = 6
	SectionExport    SectionID = 7
	SectionStart     SectionID = 8
	SectionElement   SectionID = 9
	SectionCode      SectionID = 10
	SectionData      SectionID = 11
	SectionDataCount SectionID = 12
	SectionTag       SectionID = 13
)

// sections has the name and the place in the prescribed order of each section.
var sections = [...]struct {
	name  string
	order int
}{
	SectionCustom:    {"custom", 0},
	SectionType:      {"type", 1},
	SectionImport:    {"import", 2},
	SectionFunction:  {"function", 3},
	SectionTable:     {"table", 4},
	SectionMemory:    {"memory", 5},
	SectionTag:       {"tag", 6},
	SectionGlobal:    {"global", 7},
	SectionExport:    {"export", 8},
	SectionStart:     {"start", 9},
	SectionElement:   {"element", 10},
	SectionDataCount: {"data count", 11},
	SectionCode:      {"code", 12},
	SectionData:      {"data", 13},
}

// String is the section's name in the specification.
func (s SectionID) String() string {
	if int(s) < len(sections) {
		return sections[s].name
	}
	return fmt.Sprintf("section %d", byte(s))
}

// Order is the place of a section in a module; custom sections have 0 and may
// stand anywhere.
func (s SectionID) Order() int {
	if int(s) < len(sections) {
		return sections[s].order
	}
	return 0
}

// What is supported at most. The figures are those on which engines agree (the
// JavaScript API of the specification); they bound the memory that a hostile
// file can cost.
const (
	MaxTypes       = 1_000_000
	MaxFuncs       = 1_000_000
	MaxImports     = 100_000
	MaxExports     = 1_000_000
	MaxGlobals     = 1_000_000
	MaxTables      = 100_000
	MaxMemories    = 100_000
	MaxTags        = 1_000_000
	MaxData        = 100_000
	MaxElements    = 100_000
	MaxElemItems   = 10_000_000
	MaxParams      = 1000
	MaxResults     = 1000
	MaxLocals      = 50_000
	MaxBodySize    = 7_654_321
	MaxModuleSize  = 1 << 30
	maxCustom      = 100_000
	maxMemoryPages = 1 << 16
)

// Parse reads a module. It takes memory in proportion to the file, whatever the
// file announces. Errors match [ErrNotWasm], [ErrComponent] or [ErrMalformed].
func Parse(b []byte) (*File, error) {
	if err := checkHeader(b); err != nil {
		return nil, err
	}
	if len(b) > MaxModuleSize {
		return nil, &MalformedError{Problem: fmt.Sprintf("%d bytes, at most %d are supported", len(b), MaxModuleSize)}
	}
	f := &File{Size: len(b)}
	r := NewReader(b, 0, "")
	r.pos = 8
	last := SectionCustom
	for r.Len() > 0 {
		at := r.pos
		id := SectionID(r.Byte())
		if int(id) >= len(sections) {
			r.failAt(at, "unknown section %d", byte(id))
		} else if id != SectionCustom {
			if id.Order() <= last.Order() {
				r.failAt(at, "the %s section stands after the %s section", id, last)
			}
			last = id
		}
		size := r.U32()
		if uint64(size) > uint64(r.Len()) {
			r.failAt(at, "the %s section announces %d bytes, but %d are left: the file is truncated", id, size, r.Len())
		}
		if r.err != nil {
			return nil, r.err
		}
		s := Section{ID: id, Offset: uint64(r.pos)}
		s.Bytes = r.Bytes(size)
		if err := f.parseSection(&s); err != nil {
			return nil, err
		}
		f.Sections = append(f.Sections, s)
	}
	if err := f.checkCounts(uint64(len(b))); err != nil {
		return nil, err
	}
	return f, nil
}

// parseSection reads the content of one section.
func (f *File) parseSection(s *Section) error {
	r := NewReader(s.Bytes, s.Offset, s.ID.String())
	switch s.ID {
	case SectionCustom:
		f.parseCustom(r, s)
	case SectionType:
		f.parseTypes(r)
	case SectionImport:
		f.parseImports(r)
	case SectionFunction:
		f.parseFuncs(r)
	case SectionTable:
		f.parseTables(r, nil)
	case SectionMemory:
		f.parseMemories(r)
	case SectionTag:
		f.parseTags(r)
	case SectionGlobal:
		f.parseGlobals(r, nil)
	case SectionExport:
		f.parseExports(r, nil)
	case SectionStart:
		i := f.funcIndex(r, nil)
		f.Start = &i
	case SectionElement:
		f.parseElements(r, nil)
	case SectionDataCount:
		n := r.U32()
		f.DataCount = &n
	case SectionCode:
		f.parseCode(r)
	case SectionData:
		f.parseData(r)
	}
	if r.err == nil && r.Len() > 0 {
		r.Fail("%d bytes too many in the section", r.Len())
	}
	return r.err
}

// checkCounts compares the sections with one another.
func (f *File) checkCounts(size uint64) error {
	if len(f.Funcs) != len(f.Code) {
		return &MalformedError{Offset: size, Problem: fmt.Sprintf("%d functions declared, %d bodies found", len(f.Funcs), len(f.Code))}
	}
	if f.DataCount != nil && uint64(*f.DataCount) != uint64(len(f.Data)) {
		return &MalformedError{Offset: size, Problem: fmt.Sprintf("%d data segments declared, %d found", *f.DataCount, len(f.Data))}
	}
	return nil
}

// FuncIndices calls fn for every function index in a section other than the
// code section and custom sections, in the order of their places: b[start:end]
// of the section's bytes encodes index.
func (f *File) FuncIndices(s Section, fn func(start, end int, index uint32)) error {
	g := *f // the parse functions append to the lists of their receiver
	g.Tables, g.Globals, g.Exports = nil, nil, nil
	r := NewReader(s.Bytes, s.Offset, s.ID.String())
	switch s.ID {
	case SectionTable:
		g.parseTables(r, fn)
	case SectionGlobal:
		g.parseGlobals(r, fn)
	case SectionExport:
		g.Tables, g.Globals = f.Tables, f.Globals
		g.parseExports(r, fn)
	case SectionStart:
		g.funcIndex(r, fn)
	case SectionElement:
		g.Tables, g.Globals = f.Tables, f.Globals
		g.parseElements(r, fn)
	}
	return r.err
}

func (f *File) parseCustom(r *Reader, s *Section) {
	if len(f.Custom) >= maxCustom {
		r.Fail("more than %d custom sections", maxCustom)
		return
	}
	s.Name = r.Name()
	c := CustomSection{Name: s.Name, Offset: s.Offset + uint64(r.pos)}
	if r.err == nil {
		c.Bytes = r.Bytes(uint32(r.Len()))
		f.Custom = append(f.Custom, c)
	}
}

func (f *File) parseTypes(r *Reader) {
	for range r.Count("types", 3, MaxTypes) {
		at := r.pos
		if form := r.Byte(); r.err == nil && form != 0x60 {
			r.failAt(at, "type form 0x%02x: only function types are supported", form)
		}
		t := engine.FuncType{Params: r.valueTypes("parameters", MaxParams), Results: r.valueTypes("results", MaxResults)}
		if r.err != nil {
			return
		}
		f.Types = append(f.Types, t)
	}
}

func (f *File) parseFuncs(r *Reader) {
	n := r.Count("functions", 1, MaxFuncs)
	f.Funcs = make([]uint32, 0, n)
	for range n {
		f.Funcs = append(f.Funcs, f.typeIndex(r))
		if r.err != nil {
			return
		}
	}
}

func (f *File) parseMemories(r *Reader) {
	for range r.Count("memories", 2, MaxMemories) {
		m := r.memory()
		if r.err != nil {
			return
		}
		f.Memories = append(f.Memories, m)
	}
}

func (f *File) parseTags(r *Reader) {
	for range r.Count("tags", 2, MaxTags) {
		t := f.tag(r)
		if r.err != nil {
			return
		}
		f.Tags = append(f.Tags, t)
	}
}

func (f *File) parseExports(r *Reader, fn func(start, end int, index uint32)) {
	for range r.Count("exports", 3, MaxExports) {
		e := Export{Name: r.Name()}
		at := r.pos
		e.Kind = Kind(r.Byte())
		switch e.Kind {
		case KindFunc:
			e.Index = f.funcIndex(r, fn)
		case KindTable:
			e.Index = r.index("table", f.NumTables())
		case KindMemory:
			e.Index = r.index("memory", f.NumMemories())
		case KindGlobal:
			e.Index = r.index("global", f.NumGlobals())
		case KindTag:
			e.Index = r.index("tag", f.NumTags())
		default:
			r.failAt(at, "unknown kind %d of an export", byte(e.Kind))
		}
		if r.err != nil {
			return
		}
		f.Exports = append(f.Exports, e)
	}
}

func (f *File) parseCode(r *Reader) {
	n := r.Count("function bodies", 3, MaxFuncs)
	f.Code = make([]Code, 0, n)
	for range n {
		at := r.pos
		size := r.U32()
		if size > MaxBodySize {
			r.failAt(at, "a function body of %d bytes, at most %d are supported", size, MaxBodySize)
		}
		c := Code{Offset: r.base + uint64(r.pos)}
		c.Bytes = r.Bytes(size)
		if r.err != nil {
			return
		}
		f.Code = append(f.Code, c)
	}
}

func (f *File) parseData(r *Reader) {
	n := r.Count("data segments", 2, MaxData)
	f.Data = make([]DataSegment, 0, n)
	for range n {
		var d DataSegment
		at := r.pos
		switch mode := r.U32(); mode {
		case 0, 2:
			if mode == 2 {
				d.Memory = r.U32()
			}
			e := f.constExpr(r, nil)
			d.MemOffset, d.MemOffsetKnown = e.Address()
		case 1:
			d.Passive = true
		default:
			r.failAt(at, "unknown mode %d of a data segment", mode)
		}
		size := r.U32()
		d.Offset = r.base + uint64(r.pos)
		d.Bytes = r.Bytes(size)
		if r.err != nil {
			return
		}
		f.Data = append(f.Data, d)
	}
}
