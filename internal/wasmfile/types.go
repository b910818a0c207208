package wasmfile

import "github.com/bowline-edge/bowline/runtime/engine"

func (r *Reader) valueType() engine.ValueType {
	at := r.pos
	v := engine.ValueType(r.Byte())
	switch v {
	case engine.I32, engine.I64, engine.F32, engine.F64, engine.V128, engine.FuncRef, engine.ExternRef:
		return v
	}
	r.failAt(at, "unknown value type 0x%02x", byte(v))
	return 0
}

func (r *Reader) valueTypes(what string, limit int) []engine.ValueType {
	n := r.Count(what, 1, limit)
	if n == 0 {
		return nil
	}
	ts := make([]engine.ValueType, n)
	for i := range ts {
		ts[i] = r.valueType()
	}
	return ts
}

func (r *Reader) refType() engine.ValueType {
	at := r.pos
	v := engine.ValueType(r.Byte())
	if v != engine.FuncRef && v != engine.ExternRef {
		r.failAt(at, "unknown reference type 0x%02x", byte(v))
		return 0
	}
	return v
}

// index reads an index that must be below n.
func (r *Reader) index(what string, n int) uint32 {
	at := r.pos
	i := r.U32()
	if r.err == nil && uint64(i) >= uint64(n) {
		r.failAt(at, "%s %d, but there are only %d", what, i, n)
		return 0
	}
	return i
}

func (f *File) typeIndex(r *Reader) uint32 { return r.index("type", len(f.Types)) }

// funcIndex reads an index of a function and shows it to fn.
func (f *File) funcIndex(r *Reader, fn func(start, end int, index uint32)) uint32 {
	at := r.pos
	i := r.index("function", f.NumFuncs())
	if fn != nil && r.err == nil {
		fn(at, r.pos, i)
	}
	return i
}

// limits reads limits; flags beyond 1 (a maximum is there) are given back.
func (r *Reader) limits() (l Limits, flags byte) {
	at := r.pos
	flags = r.Byte()
	if flags > 3 {
		if flags&4 != 0 {
			r.failAt(at, "64-bit memories and tables are not supported: build for wasm32")
		}
		r.failAt(at, "unknown limits flags 0x%02x", flags)
	}
	l.Min = r.U32()
	if l.HasMax = flags&1 != 0; l.HasMax {
		l.Max = r.U32()
		if l.Max < l.Min {
			r.failAt(at, "a maximum of %d below the minimum of %d", l.Max, l.Min)
		}
	}
	return l, flags &^ 1
}

func (r *Reader) memory() Memory {
	at := r.pos
	l, flags := r.limits()
	if l.Min > maxMemoryPages || l.Max > maxMemoryPages {
		r.failAt(at, "a memory of more than %d pages (4 GiB)", maxMemoryPages)
	}
	if flags != 0 && !l.HasMax {
		r.failAt(at, "a shared memory without a maximum")
	}
	return Memory{Limits: l, Shared: flags != 0}
}

func (r *Reader) table() Table {
	t := Table{Elem: r.refType()}
	at := r.pos
	var flags byte
	if t.Limits, flags = r.limits(); flags != 0 {
		r.failAt(at, "a shared table")
	}
	return t
}

func (r *Reader) globalType() GlobalType {
	g := GlobalType{Type: r.valueType()}
	at := r.pos
	switch m := r.Byte(); m {
	case 0:
	case 1:
		g.Mutable = true
	default:
		r.failAt(at, "unknown mutability 0x%02x of a global", m)
	}
	return g
}

func (f *File) tag(r *Reader) uint32 {
	at := r.pos
	if attr := r.Byte(); attr != 0 {
		r.failAt(at, "unknown attribute %d of a tag", attr)
	}
	return f.typeIndex(r)
}

func (f *File) parseImports(r *Reader) {
	for range r.Count("imports", 4, MaxImports) {
		i := Import{Module: r.Name(), Name: r.Name()}
		at := r.pos
		i.Kind = Kind(r.Byte())
		if r.err != nil {
			return
		}
		switch i.Kind {
		case KindFunc:
			i.TypeIndex = f.typeIndex(r)
			if r.err == nil {
				i.Type = f.Types[i.TypeIndex]
				f.importedFuncs = append(f.importedFuncs, i.TypeIndex)
			}
		case KindTable:
			i.Table = r.table()
			f.importedTables++
		case KindMemory:
			i.Memory = r.memory()
			f.importedMemories++
		case KindGlobal:
			i.Global = r.globalType()
			f.importedGlobals++
		case KindTag:
			i.TypeIndex = f.tag(r)
			f.importedTags++
		default:
			r.failAt(at, "unknown kind %d of the import %q.%q", byte(i.Kind), i.Module, i.Name)
		}
		if r.err != nil {
			return
		}
		f.Imports = append(f.Imports, i)
	}
}

func (f *File) parseTables(r *Reader, fn func(start, end int, index uint32)) {
	for range r.Count("tables", 3, MaxTables) {
		var t Table
		if r.Len() >= 2 && r.b[r.pos] == 0x40 && r.b[r.pos+1] == 0 { // a table with an initial value
			r.pos += 2
			t = r.table()
			t.Init = f.constExpr(r, fn)
		} else {
			t = r.table()
		}
		if r.err != nil {
			return
		}
		f.Tables = append(f.Tables, t)
	}
}

func (f *File) parseGlobals(r *Reader, fn func(start, end int, index uint32)) {
	for range r.Count("globals", 4, MaxGlobals) {
		g := Global{GlobalType: r.globalType()}
		g.Init = f.constExpr(r, fn)
		if r.err != nil {
			return
		}
		f.Globals = append(f.Globals, g)
	}
}
