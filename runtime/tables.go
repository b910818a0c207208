package runtime

import (
	"encoding/binary"
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// DefaultTableLimit is how many elements the tables of a module have together at
// most, when [Options].TableLimit is zero.
const DefaultTableLimit = 1 << 20

// limitTables sees to it that the tables of a module never have more than limit
// elements together: one that starts with more is refused before an engine sees
// it, and tables that may grow further get a smaller maximum, at which table.grow
// answers -1 on every engine. What is left is shared evenly among those that grow.
func limitTables(f *wasmfile.File, wasm []byte, limit uint32) ([]byte, error) {
	var starts, growing uint64
	change := false
	for _, t := range f.Tables {
		starts += uint64(t.Limits.Min)
		if mayGrow(t) {
			growing++
		}
		if t.Init.Bytes != nil {
			return nil, fmt.Errorf("%w: a table with an initial value, which is not supported", engine.ErrInvalid)
		}
	}
	if starts > uint64(limit) {
		return nil, &engine.LimitError{Limit: "table", Value: fmt.Sprint(limit), What: fmt.Sprintf("its tables start with %d elements, the limit is %d", starts, limit)}
	}
	if growing == 0 {
		return wasm, nil
	}
	share := uint32((uint64(limit) - starts) / growing)
	section := binary.AppendUvarint(nil, uint64(len(f.Tables)))
	for _, t := range f.Tables {
		most := t.Limits.Max
		if room := t.Limits.Min + share; mayGrow(t) && (!t.Limits.HasMax || most > room) {
			most, change = room, true
		}
		section = append(section, byte(t.Elem), 1)
		section = binary.AppendUvarint(section, uint64(t.Limits.Min))
		section = binary.AppendUvarint(section, uint64(most))
	}
	if !change {
		return wasm, nil
	}
	return replaceSection(f, wasm, wasmfile.SectionTable, section), nil
}

// mayGrow reports whether table.grow could make a table longer than it starts.
func mayGrow(t wasmfile.Table) bool { return !t.Limits.HasMax || t.Limits.Max > t.Limits.Min }

// replaceSection gives the module anew, with other content in one section.
func replaceSection(f *wasmfile.File, wasm []byte, id wasmfile.SectionID, content []byte) []byte {
	const header = 8
	out := append(make([]byte, 0, len(wasm)+len(content)), wasm[:header]...)
	from := header
	for _, s := range f.Sections {
		end := int(s.Offset) + len(s.Bytes)
		if s.ID == id {
			out = append(out, byte(id))
			out = binary.AppendUvarint(out, uint64(len(content)))
			out = append(out, content...)
		} else {
			out = append(out, wasm[from:end]...)
		}
		from = end
	}
	return out
}
