package preempt

import (
	"strings"
	"unicode/utf8"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// custom copies a custom section, or drops it if it points into the code.
func (w *writer) custom(s wasmfile.Section) {
	switch {
	case strings.HasPrefix(s.Name, ".debug_"), strings.HasPrefix(s.Name, "metadata.code."),
		strings.HasPrefix(s.Name, "reloc."), s.Name == "linking",
		s.Name == "sourceMappingURL", s.Name == "external_debug_info":
		return
	}
	start := len(w.out)
	at := w.begin(s.ID)
	if s.Name != "name" {
		w.out = append(w.out, s.Bytes...)
	} else if !w.names(s) {
		w.out = w.out[:start] // damaged: without it the module is as good
		return
	}
	w.end(at)
}

// unchanged copies a module that needs no counting, without damaged name sections.
func (r *rewriter) unchanged(wasm []byte) []byte {
	w := writer{rewriter: r}
	w.imports = uint32(r.f.ImportedFuncs())
	out := wasm[:8:8]
	from := uint64(8)
	for _, s := range r.f.Sections {
		end := s.Offset + uint64(len(s.Bytes))
		w.out = w.out[:0]
		if s.ID != wasmfile.SectionCustom || s.Name != "name" || w.names(s) {
			out = append(out, wasm[from:end]...)
		}
		from = end
	}
	return out
}

// Subsections of the name section.
const (
	nameOfModule     = 0
	namesOfFunctions = 1
	namesOfLocals    = 2
	namesOfLabels    = 3
)

// names writes the name section with new function indices. Names of labels are
// dropped, because labels are added.
func (w *writer) names(s wasmfile.Section) bool {
	d := wasmfile.NewReader(s.Bytes, s.Offset, s.Name)
	w.out = appendName(w.out, d.Name())
	for d.Err() == nil && d.Len() > 0 {
		id := d.Byte()
		b := d.Bytes(d.U32())
		if d.Err() != nil || id == namesOfLabels {
			continue
		}
		at := w.begin(wasmfile.SectionID(id))
		switch id {
		case nameOfModule:
			d := wasmfile.NewReader(b, 0, "name")
			if name := d.Bytes(d.U32()); d.Err() != nil || d.Len() > 0 || !utf8.Valid(name) {
				return false
			}
			w.out = append(w.out, b...)
		case namesOfFunctions:
			if !w.functionNames(b) {
				return false
			}
		case namesOfLocals:
			if !w.localNames(b) {
				return false
			}
		default:
			w.out = append(w.out, b...)
		}
		w.end(at)
	}
	return d.Err() == nil
}

// functionNames copies the names of functions and adds those of ours in their
// places.
func (w *writer) functionNames(b []byte) bool {
	d := wasmfile.NewReader(b, 0, "name")
	n := d.Count("names", 2, wasmfile.MaxFuncs)
	added := []struct {
		index uint32
		name  string
	}{{w.yield, "bowline.yield"}, {w.overflow, "bowline.overflow"}}
	w.out = appendU32(w.out, uint32(n+len(added)+addedFuncs))
	add := func(upTo uint32) {
		for len(added) > 0 && added[0].index < upTo {
			w.out = appendName(appendU32(w.out, added[0].index), added[0].name)
			added = added[1:]
		}
	}
	last := -1
	for range n {
		i := d.U32()
		name := d.Bytes(d.U32())
		if d.Err() != nil || int(i) <= last || int(i) >= w.f.NumFuncs() || !utf8.Valid(name) {
			return false
		}
		last = int(i)
		add(w.shift(i))
		w.out = append(appendU32(appendU32(w.out, w.shift(i)), uint32(len(name))), name...)
	}
	add(w.spent)
	w.out = appendName(appendU32(w.out, w.spent), "bowline.spent")
	w.out = appendName(appendU32(w.out, w.refill), "bowline.refill")
	w.out = appendName(appendU32(w.out, w.left), ExportLeft)
	return d.Err() == nil && d.Len() == 0
}

// localNames copies the names of locals, function by function.
func (w *writer) localNames(b []byte) bool {
	d := wasmfile.NewReader(b, 0, "name")
	n := d.Count("functions", 2, wasmfile.MaxFuncs)
	w.out = appendU32(w.out, uint32(n))
	for range n {
		w.out = appendU32(w.out, w.shift(d.U32()))
		from := d.Pos()
		for range d.Count("names", 2, wasmfile.MaxLocals+wasmfile.MaxParams) {
			d.U32()
			name := d.Bytes(d.U32())
			if d.Err() != nil || !utf8.Valid(name) {
				return false
			}
		}
		if d.Err() != nil {
			return false
		}
		w.out = append(w.out, b[from:d.Pos()]...)
	}
	return d.Err() == nil && d.Len() == 0
}
