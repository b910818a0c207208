package wazero

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// Limits that no honest module meets, on what wazero would allocate without one.
const (
	maxTable     = 1 << 20 // elements of a table; growing beyond answers -1
	maxTables    = 16
	maxAllLocals = 4 << 20 // of all functions together
)

// tame changes a module so that wazero runs it safely. Nearly all modules need
// no change and come back as they are.
//
// Imported functions that a table may get to hold, or that are exported again,
// get a function around them in the module: wazero 1.12 crashes the process
// when an import is looked up in a table, and calls an exported import with the
// wrong module. A reference to a function needs a declaration outside of the
// code, in an element segment, a global or an export: with those replaced, code
// that still refers to an import is refused by wazero's validation.
//
// Tables get a maximum, because wazero grows one without it to any size. Counts
// that the module has no bytes for are refused by [wasmfile] already, because
// wazero allocates first and reads then.
//
// What wasmfile does not know is refused too, so that a module is never seen
// differently from wazero.
func tame(f *wasmfile.File, wasm []byte) ([]byte, error) {
	if err := checkLimits(f); err != nil {
		return nil, err
	}
	t := tamer{f: f, wrapped: map[uint32]uint32{}}
	if f.ImportedFuncs() > 0 {
		for _, s := range f.Sections {
			t.references(s, func(_, _ int, index uint32) { t.index(index) })
		}
	}
	growing := slices.ContainsFunc(f.Tables, func(t wasmfile.Table) bool { return !t.Limits.HasMax || t.Limits.Max > maxTable })
	if len(t.order) == 0 && !growing {
		return wasm, nil
	}
	if len(t.order) > 0 && len(f.Funcs) == 0 {
		return nil, errors.New("it refers to imports and has no functions of its own, which wazero cannot run")
	}
	return t.write(wasm), nil
}

// checkLimits refuses what wazero would take too much memory for.
func checkLimits(f *wasmfile.File) error {
	if n := len(f.Tables); n > maxTables {
		return fmt.Errorf("%d tables, the limit is %d", n, maxTables)
	}
	for _, t := range f.Tables {
		if t.Limits.Min > maxTable {
			return fmt.Errorf("a table starts with %d elements, the limit is %d", t.Limits.Min, maxTable)
		}
		if t.Init.Bytes != nil {
			return errors.New("a table with an initial value, which is not supported")
		}
	}
	locals := 0
	for i := range f.Code {
		w := f.Body(i)
		if err := w.Err(); err != nil {
			return err // wazero would read on, into the next body
		}
		if locals += w.Locals() - len(f.Types[f.Funcs[i]].Params); locals > maxAllLocals {
			return fmt.Errorf("the functions have more than %d locals together", maxAllLocals)
		}
	}
	return f.CheckNames()
}

type tamer struct {
	f       *wasmfile.File
	wrapped map[uint32]uint32 // import to its wrapper
	order   []uint32          // imports in the order of their wrappers
}

// references shows the functions that a section lets others refer to.
func (t *tamer) references(s wasmfile.Section, fn func(start, end int, index uint32)) {
	switch s.ID {
	case wasmfile.SectionGlobal, wasmfile.SectionExport, wasmfile.SectionElement:
		_ = t.f.FuncIndices(s, fn) // the section was read before, so there is no error
	}
}

// index is what stands for a function from now on.
func (t *tamer) index(i uint32) uint32 {
	if int(i) >= t.f.ImportedFuncs() {
		return i
	}
	if _, ok := t.wrapped[i]; !ok {
		t.wrapped[i] = uint32(t.f.NumFuncs() + len(t.order))
		t.order = append(t.order, i)
	}
	return t.wrapped[i]
}

// write gives the module anew, with the wrappers.
func (t *tamer) write(wasm []byte) []byte {
	out := make([]byte, 8, len(wasm)+64*(1+len(t.order)))
	copy(out, wasm)
	for _, s := range t.f.Sections {
		body := s.Bytes
		switch s.ID {
		case wasmfile.SectionFunction:
			body = t.longer(body, func(b []byte, i uint32) []byte {
				index, _ := t.f.FuncTypeIndex(i)
				return binary.AppendUvarint(b, uint64(index))
			})
		case wasmfile.SectionCode:
			body = t.longer(body, t.code)
		case wasmfile.SectionTable:
			body = t.tables()
		default:
			body = t.replaced(s)
		}
		out = append(out, byte(s.ID))
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out
}

// replaced is the content of a section that refers to the wrappers.
func (t *tamer) replaced(s wasmfile.Section) []byte {
	if len(t.order) == 0 {
		return s.Bytes
	}
	var out []byte
	from := 0
	t.references(s, func(start, end int, index uint32) {
		out = append(out, s.Bytes[from:start]...)
		out = binary.AppendUvarint(out, uint64(t.index(index)))
		from = end
	})
	return append(out, s.Bytes[from:]...)
}

// tables are all tables, with a maximum.
func (t *tamer) tables() []byte {
	out := binary.AppendUvarint(nil, uint64(len(t.f.Tables)))
	for _, table := range t.f.Tables {
		most := uint32(maxTable)
		if table.Limits.HasMax {
			most = min(most, table.Limits.Max)
		}
		out = append(out, byte(table.Elem), 1)
		out = binary.AppendUvarint(out, uint64(table.Limits.Min))
		out = binary.AppendUvarint(out, uint64(most))
	}
	return out
}

// longer adds one item per wrapper to a section that is a list.
func (t *tamer) longer(body []byte, item func([]byte, uint32) []byte) []byte {
	r := wasmfile.NewReader(body, 0, "")
	out := binary.AppendUvarint(make([]byte, 0, len(body)+16*(1+len(t.order))), uint64(r.U32())+uint64(len(t.order)))
	out = append(out, body[r.Pos():]...)
	for _, i := range t.order {
		out = item(out, i)
	}
	return out
}

// code appends a body that passes all parameters on.
func (t *tamer) code(b []byte, i uint32) []byte {
	typ, _ := t.f.FuncType(i)
	body := []byte{0} // no locals
	for p := range typ.Params {
		body = binary.AppendUvarint(append(body, byte(wasmfile.OpLocalGet)), uint64(p))
	}
	body = binary.AppendUvarint(append(body, byte(wasmfile.OpCall)), uint64(i))
	body = append(body, byte(wasmfile.OpEnd))
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}
