package wasmfile

// FuncNames gives the names of functions that the name section has, by index,
// imports first. A damaged name section gives what can be read.
func (f *File) FuncNames() map[uint32]string {
	names := make(map[uint32]string)
	f.nameSubsection(1, func(r *Reader) {
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
	f.nameSubsection(0, func(r *Reader) { name = r.Name() })
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
