package preempt

import (
	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

const (
	formFunc = 0x60
	typeI32  = byte(engine.I32)
	opI32GeS = wasmfile.Op(0x4e)
	opI32Eq  = wasmfile.Op(0x46)
	opI32Ne  = wasmfile.Op(0x47)
	opI32Or  = wasmfile.Op(0x72)
)

// layout says where in the index spaces the additions go. Imports are added
// behind the imported functions, which moves all defined functions; everything
// else is added at the end and moves nothing.
type layout struct {
	imports             uint32 // imported functions of the original
	yield, overflow     uint32
	spent, refill, left uint32
	budget, level       uint32 // globals

	types     []engine.FuncType // added types
	typeIndex map[string]uint32
	// The types () -> (), (i32) -> (), (i32) -> (i32) and () -> (i32).
	void, unit, word, number uint32
	blockTypes               map[uint32][]byte // by function type, of a block around the body
}

// What is added.
const (
	addedImports = 2
	addedFuncs   = 3
	addedGlobals = 2
)

// shift gives the new index of a function.
func (l *layout) shift(i uint32) uint32 {
	if i >= l.imports {
		return i + addedImports
	}
	return i
}

// plan fixes all indices.
func (r *rewriter) plan() {
	r.markDepth()
	r.imports = uint32(r.f.ImportedFuncs())
	r.yield, r.overflow = r.imports, r.imports+1
	r.spent = uint32(r.f.NumFuncs()) + addedImports
	r.refill, r.left = r.spent+1, r.spent+2
	r.budget = uint32(r.f.NumGlobals())
	r.level = r.budget + 1
	r.typeIndex = make(map[string]uint32)
	for i := len(r.f.Types) - 1; i >= 0; i-- {
		if t := r.f.Types[i]; len(t.Params) <= 1 {
			r.typeIndex[string(typeKey(nil, t))] = uint32(i)
		}
	}
	r.void = r.typeOf(engine.FuncType{})
	i32 := []engine.ValueType{engine.I32}
	r.unit = r.typeOf(engine.FuncType{Params: i32})
	r.word = r.typeOf(engine.FuncType{Params: i32, Results: i32})
	r.number = r.typeOf(engine.FuncType{Results: i32})
	r.blockTypes = make(map[uint32][]byte)
	for i := range r.funcs {
		t := r.f.Funcs[i]
		if !r.funcs[i].epilogue() || r.blockTypes[t] != nil {
			continue
		}
		switch results := r.f.Types[t].Results; len(results) {
		case 0:
			r.blockTypes[t] = []byte{blockEmpty}
		case 1:
			r.blockTypes[t] = []byte{byte(results[0])}
		default:
			r.blockTypes[t] = appendS33(nil, r.typeOf(engine.FuncType{Results: results}))
		}
	}
}

// typeOf gives the index of a type and adds it if it is not there.
func (r *rewriter) typeOf(t engine.FuncType) uint32 {
	key := string(typeKey(nil, t))
	i, ok := r.typeIndex[key]
	if !ok {
		i = uint32(len(r.f.Types) + len(r.types))
		r.types = append(r.types, t)
		r.typeIndex[key] = i
	}
	return i
}

// typeKey appends the encoding of a type.
func typeKey(b []byte, t engine.FuncType) []byte {
	b = append(b, formFunc)
	for _, list := range [][]engine.ValueType{t.Params, t.Results} {
		b = appendU32(b, uint32(len(list)))
		for _, v := range list {
			b = append(b, byte(v))
		}
	}
	return b
}

// checkLimits tells whether the additions fit.
func (r *rewriter) checkLimits() error {
	for _, c := range []struct {
		what    string
		n, most int
	}{
		{"types", len(r.f.Types) + len(r.types), wasmfile.MaxTypes},
		{"imports", len(r.f.Imports) + addedImports, wasmfile.MaxImports},
		{"functions", len(r.f.Code) + addedFuncs, wasmfile.MaxFuncs},
		{"globals", len(r.f.Globals) + addedGlobals, wasmfile.MaxGlobals},
	} {
		if c.n > c.most {
			return tooLarge("it would have %d %s, at most %d are possible", c.n, c.what, c.most)
		}
	}
	return nil
}

// write gives the new module.
func (r *rewriter) write(header []byte) ([]byte, error) {
	if err := r.checkLimits(); err != nil {
		return nil, err
	}
	w := writer{rewriter: r}
	w.out = make([]byte, 0, r.f.Size+r.f.Size/8+16*len(r.edits)+24*len(r.funcs)+256)
	w.out = append(w.out, header...)
	for _, s := range r.f.Sections {
		if err := w.section(s); err != nil {
			return nil, err
		}
	}
	if len(w.out) > wasmfile.MaxModuleSize {
		return nil, tooLarge("it would have %d bytes, at most %d are possible", len(w.out), wasmfile.MaxModuleSize)
	}
	return w.out, nil
}

// writer writes section by section.
type writer struct {
	*rewriter
	out                        []byte
	imported, global, exported bool
}

// begin starts a section whose size is not yet known, end fills the size in. The
// size takes five bytes, whatever it is.
func (w *writer) begin(id wasmfile.SectionID) (at int) {
	w.out = append(w.out, byte(id), 0, 0, 0, 0, 0)
	return len(w.out)
}

func (w *writer) end(at int) {
	n := uint32(len(w.out) - at)
	for i := at - 5; i < at; i++ {
		w.out[i] = byte(n&0x7f) | 0x80
		n >>= 7
	}
	w.out[at-1] &^= 0x80
}

// longer appends the content of a section that is a list, with more items to
// come.
func (w *writer) longer(s wasmfile.Section, more int) {
	d := wasmfile.NewReader(s.Bytes, 0, "")
	n := 0
	if len(s.Bytes) > 0 {
		n = int(d.U32())
	}
	w.out = appendU32(w.out, uint32(n+more))
	w.rest(s, d.Pos())
}

// rest appends the content of a section from a position on, with new function
// indices.
func (w *writer) rest(s wasmfile.Section, from int) {
	// The section was read before, so there is no error.
	_ = w.f.FuncIndices(s, func(start, end int, index uint32) {
		w.out = append(w.out, s.Bytes[from:start]...)
		w.out = appendU32(w.out, w.shift(index))
		from = end
	})
	w.out = append(w.out, s.Bytes[from:]...)
}

func (w *writer) section(s wasmfile.Section) error {
	if s.ID != wasmfile.SectionCustom {
		if !w.imported && s.ID.Order() > wasmfile.SectionImport.Order() {
			w.importSection(wasmfile.Section{})
		}
		if !w.global && s.ID.Order() > wasmfile.SectionGlobal.Order() {
			w.globalSection(wasmfile.Section{})
		}
		if !w.exported && s.ID.Order() > wasmfile.SectionExport.Order() {
			w.exportSection(wasmfile.Section{})
		}
	}
	switch s.ID {
	case wasmfile.SectionCustom:
		w.custom(s)
	case wasmfile.SectionImport:
		w.importSection(s)
	case wasmfile.SectionGlobal:
		w.globalSection(s)
	case wasmfile.SectionExport:
		w.exportSection(s)
	default:
		at := w.begin(s.ID)
		switch s.ID {
		case wasmfile.SectionType:
			w.longer(s, len(w.types))
			for _, t := range w.types {
				w.out = typeKey(w.out, t)
			}
		case wasmfile.SectionFunction:
			w.longer(s, addedFuncs)
			for _, t := range []uint32{w.word, w.unit, w.number} { // spent, refill, left
				w.out = appendU32(w.out, t)
			}
		case wasmfile.SectionCode:
			var err error
			if w.out, err = w.code(w.out); err != nil {
				return err
			}
		default:
			w.rest(s, 0)
		}
		w.end(at)
	}
	return nil
}

func (w *writer) importSection(s wasmfile.Section) {
	w.imported = true
	at := w.begin(wasmfile.SectionImport)
	w.longer(s, addedImports)
	w.importFunc(ImportYield, w.word)
	w.importFunc(ImportOverflow, w.void)
	w.end(at)
}

func (w *writer) importFunc(name string, typ uint32) {
	w.out = append(appendName(appendName(w.out, ImportModule), name), byte(wasmfile.KindFunc))
	w.out = appendU32(w.out, typ)
}

func (w *writer) exportSection(s wasmfile.Section) {
	w.exported = true
	at := w.begin(wasmfile.SectionExport)
	w.longer(s, 1)
	w.out = append(appendName(w.out, ExportLeft), byte(wasmfile.KindFunc))
	w.out = appendU32(w.out, w.left)
	w.end(at)
}

func (w *writer) globalSection(s wasmfile.Section) {
	w.global = true
	initial := []int32{0, w.maxDepth}
	at := w.begin(wasmfile.SectionGlobal)
	w.longer(s, len(initial))
	for _, v := range initial {
		a := asm(append(w.out, typeI32, 1)) // mutable
		a.i32(v)
		a.op(wasmfile.OpEnd)
		w.out = a
	}
	w.end(at)
}
