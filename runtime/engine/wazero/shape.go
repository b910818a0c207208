package wazero

import (
	"bytes"
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// maxWalk is up to which size, in bytes, the code of a module is searched for
// instructions that change tables. Programs beyond it (those of Go have megabytes)
// would pay more at every start than they get back.
const maxWalk = 1 << 20

// shape is what the seam needs to know of a module and wazero does not tell.
type shape struct {
	// table is the function table's index, -1 if there is none.
	table int
	// foreign names the first import that is no function, empty if there is none.
	foreign string
	// fixed tells that tables stay as they are after instantiation.
	fixed bool
}

func shapeOf(f *wasmfile.File) shape {
	s := shape{table: -1, fixed: f.Size <= maxWalk && !changesTables(f)}
	index := uint32(0)
	if e, ok := f.Export("__indirect_function_table"); ok && e.Kind == wasmfile.KindTable {
		index = e.Index
	}
	if t, ok := f.TableType(index); ok && t.Elem == engine.FuncRef {
		s.table = int(index)
	}
	for _, i := range f.Imports {
		if i.Kind != wasmfile.KindFunc {
			s.foreign = fmt.Sprintf("%s %s.%s", i.Kind, i.Module, i.Name)
			break
		}
	}
	return s
}

// changesTables tells whether code can change a table. It says so too where it
// cannot tell: of imported tables, and of code that cannot be decoded.
func changesTables(f *wasmfile.File) bool {
	if f.NumTables() > len(f.Tables) || len(f.Tables) > maxTables {
		return true
	}
	for i := range f.Code {
		// Most functions do not even have the bytes.
		if b := f.Code[i].Bytes; !hasTableSet(b, len(f.Tables)) && !hasTableMisc(b) {
			continue
		}
		w := f.Body(i)
		var in wasmfile.Instr
		for w.Next(&in) {
			switch in.Op {
			case wasmfile.OpTableSet, wasmfile.OpTableInit, wasmfile.OpTableCopy, wasmfile.OpTableGrow, wasmfile.OpTableFill:
				return true
			}
		}
		if w.Err() != nil {
			return true
		}
	}
	return false
}

// hasTableSet tells whether bytes look like a table.set of one of so many tables,
// at most 127.
func hasTableSet(b []byte, tables int) bool {
	return contains(b, byte(wasmfile.OpTableSet), func(v byte) bool { return int(v) < tables })
}

// hasTableMisc tells whether bytes look like one of the other instructions that
// change tables, which share a prefix.
func hasTableMisc(b []byte) bool {
	return contains(b, byte(wasmfile.OpTableInit>>16), func(v byte) bool {
		switch wasmfile.OpTableInit&^0xffff | wasmfile.Op(v) {
		case wasmfile.OpTableInit, wasmfile.OpTableCopy, wasmfile.OpTableGrow, wasmfile.OpTableFill:
			return true
		}
		return false
	})
}

// contains tells whether there is a byte with a small number after it that fits,
// in any of its encodings: 3 is 03, 83 00, 83 80 00 and so on.
func contains(b []byte, first byte, fits func(byte) bool) bool {
	for {
		i := bytes.IndexByte(b, first)
		if i < 0 || i+1 >= len(b) {
			return false
		}
		b = b[i+1:]
		if fits(b[0]&0x7f) && (b[0] < 0x80 || len(b) < 2 || b[1]&0x7f == 0) {
			return true
		}
	}
}
