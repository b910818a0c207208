package wazero

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// section makes a section out of bytes.
func sect(id wasmfile.SectionID, body ...byte) []byte {
	return append([]byte{byte(id), byte(len(body))}, body...)
}

// parseAndTame does what Compile does before wazero sees the module.
func parseAndTame(wasm []byte) ([]byte, error) {
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, err
	}
	return tame(f, wasm)
}

func module1(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

func TestTameLeavesHarmlessModulesAlone(t *testing.T) {
	for _, name := range []string{"empty", "memory", "reenter", "wasi", "traps"} {
		wasm := guest(t, name)
		got, err := parseAndTame(wasm)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same := len(got) > 0 && &got[0] == &wasm[0]
		if want := name != "traps"; same != want { // its table has no maximum
			t.Errorf("%s: left alone %v, want %v", name, same, want)
		}
	}
}

// The pieces of modules that import a.f, of type () -> ().
var (
	typeSec   = sect(wasmfile.SectionType, 1, 0x60, 0, 0)
	importSec = sect(wasmfile.SectionImport, 1, 1, 'a', 1, 'f', 0, 0)
	funcSec   = sect(wasmfile.SectionFunction, 1, 0)
	codeSec   = sect(wasmfile.SectionCode, 1, 2, 0, 0x0b)
)

// manyLocals is a module of 84 functions with 50000 locals each.
func manyLocals() []byte {
	funcs, code := make([]byte, 85), []byte{84}
	funcs[0] = 84
	for range 84 {
		code = append(code, 6, 1, 0xd0, 0x86, 0x03, 0x7f, 0x0b)
	}
	m := module1(typeSec, sect(wasmfile.SectionFunction, funcs...))
	m = append(m, byte(wasmfile.SectionCode))
	return append(binary.AppendUvarint(m, uint64(len(code))), code...)
}

func TestTameRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		name, want string
		wasm       []byte
	}{
		{"a table with an initializer", "initial value", module1(typeSec, funcSec,
			sect(wasmfile.SectionTable, 1, 0x40, 0, 0x70, 0, 1, 0xd2, 0, 0x0b), codeSec)},
		{"a typed reference table", "reference type 0x63", module1(sect(wasmfile.SectionTable, 1, 0x63, 0, 0, 1))},
		{"a huge table", "the limit is", module1(sect(wasmfile.SectionTable, 1, 0x70, 0, 0xff, 0xff, 0xff, 0x7f))},
		{"64-bit table limits", "64-bit", module1(sect(wasmfile.SectionTable, 1, 0x70, 4, 1))},
		{"a struct type", "type form 0x5f", module1(sect(wasmfile.SectionType, 1, 0x5f, 0, 0))},
		{"a typed reference", "value type 0x64", module1(sect(wasmfile.SectionType, 1, 0x60, 1, 0x64, 0))},
		{"a tag import", "", module1(typeSec, sect(wasmfile.SectionImport, 1, 0, 0, 4, 0, 0))},
		{"an unknown segment", "form 8", module1(sect(wasmfile.SectionElement, 1, 8, 0))},
		{"an unknown constant", "instruction 0x6f", module1(sect(wasmfile.SectionGlobal, 1, 0x7f, 0, 0x6f, 0x0b))},
		{"a computed constant", "", module1(sect(wasmfile.SectionGlobal, 1, 0x7f, 0, 0x41, 1, 0x41, 2, 0x6a, 0x0b))},
		{"more items than bytes", "4294967295 imports", module1(sect(wasmfile.SectionImport, 0xff, 0xff, 0xff, 0xff, 0x0f))},
		{"four billion locals", "locals", module1(typeSec, funcSec,
			sect(wasmfile.SectionCode, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b))},
		{"a wrapped sum of locals", "locals", module1(typeSec, funcSec, sect(wasmfile.SectionCode, 1, 14, 2,
			0x80, 0x80, 0x80, 0x80, 0x08, 0x7f, 0x80, 0x80, 0x80, 0x80, 0x08, 0x7e, 0x0b))},
		{"locals beyond the body", "local declarations", module1(typeSec, sect(wasmfile.SectionFunction, 2, 0, 0),
			sect(wasmfile.SectionCode, 2, 1, 1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f))},
		{"many functions with many locals", "locals together", manyLocals()},
		{"too many tables", "tables", module1(sect(wasmfile.SectionTable, append([]byte{17}, bytes.Repeat([]byte{0x70, 0, 1}, 17)...)...))},
		{"four billion names", "names", module1(sect(wasmfile.SectionCustom, 4, 'n', 'a', 'm', 'e', 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f))},
		{"four billion locals' names", "names", module1(sect(wasmfile.SectionCustom, 4, 'n', 'a', 'm', 'e', 2, 7, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f))},
		{"a module's name of four billion bytes", "4294967295 bytes", module1(
			sect(wasmfile.SectionCustom, 4, 'n', 'a', 'm', 'e', 0, 5, 0xff, 0xff, 0xff, 0xff, 0x0f))},
		{"names beyond their subsection", "unexpected end", module1(
			sect(wasmfile.SectionCustom, append([]byte{4, 'n', 'a', 'm', 'e', 1, 0, 0xff, 4, 0, 0, 0, 0}, make([]byte, 64)...)...))},
		{"bytes after a section", "too many", module1(sect(wasmfile.SectionExport, 0, 0))},
		{"a section cut short", "unexpected end", module1(sect(wasmfile.SectionElement, 1, 0, 0x41))},
		{"no functions to add to", "no functions of its own", module1(typeSec, importSec, sect(wasmfile.SectionExport, 1, 1, 'g', 0, 0))},
	} {
		_, err := parseAndTame(c.wasm)
		if c.want == "" { // it can be read, and wazero refuses it
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		m, err := openEngine(t, Options{}).Compile(bg, c.wasm)
		if !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s compiles: %v %v", c.name, m, err)
		}
	}
}

// TestImportsInTables puts an import into a table in every way there is, and
// calls it there. Without tame the process ends at the look-up.
func TestImportsInTables(t *testing.T) {
	table := sect(wasmfile.SectionTable, 1, 0x70, 0, 2)
	offset := []byte{0x41, 1, 0x0b} // i32.const 1
	elem := func(flags byte, rest ...byte) []byte {
		return sect(wasmfile.SectionElement, append([]byte{1, flags}, rest...)...)
	}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		wasm  []byte
		index uint32
	}{
		"indices":               {module1(typeSec, importSec, funcSec, table, elem(0, cat(offset, []byte{1, 0})...), codeSec), 1},
		"indices, with a table": {module1(typeSec, importSec, funcSec, table, elem(2, cat([]byte{0}, offset, []byte{0, 1, 0})...), codeSec), 1},
		"expressions":           {module1(typeSec, importSec, funcSec, table, elem(4, cat(offset, []byte{1, 0xd2, 0, 0x0b})...), codeSec), 1},
		"expressions, with a table": {
			module1(typeSec, importSec, funcSec, table, elem(6, cat([]byte{0}, offset, []byte{0x70, 1, 0xd2, 0, 0x0b})...), codeSec), 1},
		"a global, by code": {module1(typeSec, importSec, funcSec, table, sect(wasmfile.SectionGlobal, 1, 0x70, 0, 0xd2, 0, 0x0b), sect(wasmfile.SectionStart, 1),
			sect(wasmfile.SectionCode, 1, 8, 0, 0x41, 1, 0x23, 0, 0x26, 0, 0x0b)), 1},
		"a passive segment, by code": {module1(typeSec, importSec, funcSec, table, sect(wasmfile.SectionStart, 1), elem(1, 0, 1, 0),
			sect(wasmfile.SectionCode, 1, 12, 0, 0x41, 1, 0x41, 0, 0x41, 1, 0xfc, 0x0c, 0, 0, 0x0b)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			called := 0
			in := instantiate(t, compileOn(t, openEngine(t, Options{}), c.wasm), engine.InstanceConfig{Funcs: []engine.HostFunc{
				{Module: "a", Name: "f", Call: func(context.Context, engine.Instance, []uint64) error { called++; return nil }}}})
			f, err := in.TableFunc(c.index, engine.FuncType{})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Call(bg, nil); err != nil || called != 1 {
				t.Errorf("called %d times, %v", called, err)
			}
		})
	}
}

// TestImportByCodeIsRefused refers to an import in code, which another export
// of the same import declared before tame took that away.
func TestImportByCodeIsRefused(t *testing.T) {
	wasm := module1(typeSec, importSec, funcSec, sect(wasmfile.SectionTable, 1, 0x70, 0, 2), sect(wasmfile.SectionExport, 1, 1, 'g', 0, 0),
		sect(wasmfile.SectionCode, 1, 8, 0, 0x41, 1, 0xd2, 0, 0x26, 0, 0x0b))
	m, err := openEngine(t, Options{}).Compile(bg, wasm)
	if !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("got %v %v", m, err)
	}
}

// TestStartIsAnImport has no guest frame between the engine and the host.
func TestStartIsAnImport(t *testing.T) {
	cause := errors.New("the cause")
	for name, c := range map[string]struct {
		call func(context.Context, engine.Instance, []uint64) error
		want string
	}{
		"answers": {func(context.Context, engine.Instance, []uint64) error { return nil }, ""},
		"fails":   {func(context.Context, engine.Instance, []uint64) error { return cause }, "a.f: the cause"},
		"panics":  {func(context.Context, engine.Instance, []uint64) error { panic("oh\nno") }, "oh no"},
	} {
		m := compileOn(t, openEngine(t, Options{}), module1(typeSec, importSec, sect(wasmfile.SectionStart, 0)))
		in, err := m.Instantiate(bg, engine.InstanceConfig{Funcs: []engine.HostFunc{{Module: "a", Name: "f", Call: c.call}}})
		if err == nil {
			must(t, in.Close())
		}
		if (err == nil) != (c.want == "") || (err != nil && !strings.HasSuffix(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzCompile feeds the walks and wazero with damaged modules.
func FuzzCompile(f *testing.F) {
	paths, _ := filepath.Glob("../../../wasi-ebpf/conformance/guests/*.wasm")
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	e, err := New(Options{Interpreter: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := e.Compile(t.Context(), wasm)
		if err != nil {
			if !errors.Is(err, engine.ErrInvalid) || strings.Contains(err.Error(), "bug") {
				t.Error(err)
			}
			return
		}
		again, err := parseAndTame(wasm)
		if err == nil {
			var twice []byte
			if twice, err = parseAndTame(again); err == nil && !bytes.Equal(again, twice) {
				t.Error("a tamed module is not tame")
			}
		}
		if err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}
