package wasmfile

// Subsections of the name section.
const (
	nameModule = 0
	nameFuncs  = 1
	nameLocals = 2
)

// FuncNames gives the names of functions that the name section has, by index,
// imports first. A damaged name section gives what can be read.
func (f *File) FuncNames() map[uint32]string {
	names := make(map[uint32]string)
	f.nameSubsection(nameFuncs, func(r *Reader) {
		for range r.Count("names", 2, MaxFuncs) {
			i := r.U32()
			name := r.Name()
			if r.Err() != nil {
				return
			}
			names[i] = name
		}
	})
	return names
}

// ModuleName gives the name that the module gives itself, or "".
func (f *File) ModuleName() string {
	name := ""
	f.nameSubsection(nameModule, func(r *Reader) { name = r.Name() })
	return name
}

// nameSubsection finds a subsection of the name section and reads it by fn.
func (f *File) nameSubsection(want byte, fn func(*Reader)) {
	c, ok := f.CustomSection("name")
	if !ok {
		return
	}
	r := NewReader(c.Bytes, c.Offset, "name")
	for r.Err() == nil && r.Len() > 0 {
		id := r.Byte()
		at := r.Pos() // only for the offset of errors, which nobody sees
		b := r.Bytes(r.U32())
		if id == want && r.Err() == nil {
			fn(NewReader(b, c.Offset+uint64(at), "name"))
			return
		}
	}
}

// CheckNames tells whether the names of the module, of functions and of locals
// can be read, in all name sections. [Parse] does not look at them, because they
// mean nothing for execution; an engine that reads them allocates what they
// announce. The error matches [ErrMalformed].
func (f *File) CheckNames() error {
	for _, c := range f.Custom {
		if c.Name != "name" {
			continue
		}
		r := NewReader(c.Bytes, c.Offset, "name")
		for r.err == nil && r.Len() > 0 {
			id := r.Byte()
			size := r.U32()
			sub := NewReader(nil, c.Offset+uint64(r.pos), "name")
			sub.b = r.Bytes(size)
			if r.err != nil || id > nameLocals {
				continue
			}
			sub.names(id)
			if sub.Len() > 0 {
				sub.Fail("%d bytes too many in subsection %d", sub.Len(), id)
			}
			if sub.err != nil {
				return sub.err
			}
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// names reads the content of one subsection.
func (r *Reader) names(id byte) {
	switch id {
	case nameModule:
		r.name()
	case nameFuncs:
		r.nameMap(MaxFuncs)
	case nameLocals:
		for range r.Count("functions", 2, MaxFuncs) {
			r.U32()
			if r.nameMap(MaxLocals + MaxParams); r.err != nil {
				return
			}
		}
	}
}

func (r *Reader) nameMap(limit int) {
	for range r.Count("names", 2, limit) {
		r.U32()
		if r.name(); r.err != nil {
			return
		}
	}
}
