package wazero

import (
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// withCode is a module with two tables and one function.
func withCode(body ...byte) []byte {
	code := append([]byte{1, byte(len(body) + 2), 0}, append(body, 0x0b)...)
	return module1(typeSec, funcSec, sect(wasmfile.SectionTable, 2, 0x70, 0, 1, 0x70, 0, 1), sect(wasmfile.SectionCode, code...))
}

func TestTablesAreFixedUnlessCodeChangesThem(t *testing.T) {
	imported := sect(wasmfile.SectionImport, 1, 1, 'a', 1, 't', 1, 0x70, 0, 1)
	for name, c := range map[string]struct {
		wasm []byte
		want bool
	}{
		"nothing":                      {withCode(), true},
		"table.set":                    {withCode(0x26, 0), false},
		"table.set of the other":       {withCode(0x26, 1), false},
		"table.set, a longer encoding": {withCode(0x26, 0x81, 0x80, 0), false},
		"table.init":                   {withCode(0xfc, 12, 0, 0), false},
		"table.copy":                   {withCode(0xfc, 14, 0, 1), false},
		"table.grow":                   {withCode(0xfc, 15, 0), false},
		"table.fill":                   {withCode(0xfc, 17, 0), false},
		"table.fill, longer encodings": {withCode(0xfc, 0x91, 0x80, 0, 0), false},
		"behind the bytes of others":   {withCode(0x41, 0x26, 0x1a, 0x41, 0xfc, 0, 0x1a, 0x26, 1), false},
		"table.get and table.size":     {withCode(0x25, 0, 0xfc, 16, 0), true},
		"elem.drop":                    {withCode(0xfc, 13, 0), true},
		"memory.fill":                  {withCode(0xfc, 11, 0), true},
		"a constant like table.set":    {withCode(0x41, 0x26, 0, 0x1a), true},
		"a constant like table.fill":   {withCode(0x42, 0xfc, 17, 0x1a), true},
		"unknown code":                 {withCode(0x26, 0, 0xff), false},
		"code that looks like it":      {withCode(0x06, 0x26, 0), false},
		"an imported table":            {module1(imported), false},
		"a large module":               {append(withCode(), custom(maxWalk)...), false},
	} {
		f, err := wasmfile.Parse(c.wasm)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := shapeOf(f).fixed; got != c.want {
			t.Errorf("%s: fixed %v, want %v", name, got, c.want)
		}
	}
}

// custom is a custom section with so many bytes, less than 4 MiB.
func custom(n int) []byte {
	size := n + 1
	return append([]byte{0, byte(size) | 0x80, byte(size>>7) | 0x80, byte(size>>14) | 0x80, byte(size >> 21)}, make([]byte, size)...)
}
