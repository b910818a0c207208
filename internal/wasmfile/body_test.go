package wasmfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// body makes a module with one function of the type () -> () with that body, two
// i32 locals in it.
func body(instrs string) []byte {
	b := "\x01\x02\x7f" + instrs
	return sections("\x01\x01\x60\x00\x00", "\x03\x01\x00", "\x04\x01\x70\x00\x01", "\x05\x01\x00\x01",
		"\x06\x01\x7f\x01\x41\x00\x0b", "\x0a\x01"+string(rune(len(b)))+b)
}

func walk(t *testing.T, m []byte) ([]wasmfile.Instr, error) {
	t.Helper()
	f, err := wasmfile.Parse(m)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Body(0)
	if w.Locals() != 2 || w.Start() != 3 {
		t.Fatalf("%d locals, start %d", w.Locals(), w.Start())
	}
	var ins []wasmfile.Instr
	var in wasmfile.Instr
	for w.Next(&in) {
		ins = append(ins, in)
	}
	return ins, w.Err()
}

func TestBodyWalksEveryKindOfOperands(t *testing.T) {
	for name, code := range map[string]string{
		"block types":    "\x02\x40\x03\x7f\x04\x00\x05\x0b\x0b\x0b",
		"br_table":       "\x41\x00\x0e\x03\x00\x00\x00\x00",
		"calls":          "\x10\x00\x11\x00\x00\x12\x00\x13\x00\x00",
		"select":         "\x1b\x1c\x01\x7f",
		"variables":      "\x20\x00\x21\x01\x22\x01\x23\x00\x24\x00\x25\x00\x26\x00",
		"memory":         "\x28\x02\x80\x01\x3e\x00\x00\x3f\x00\x40\x00",
		"constants":      "\x41\x80\x80\x80\x80\x78\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\x43abcd\x44abcdefgh",
		"sign extension": "\xc0\xc1\xc2\xc3\xc4",
		"references":     "\xd0\x70\xd1\xd2\x00",
		"saturating":     "\xfc\x00\xfc\x07",
		"bulk":           "\xfc\x08\x00\x00\xfc\x09\x00\xfc\x0a\x00\x00\xfc\x0b\x00\xfc\x0c\x00\x00\xfc\x0d\x00\xfc\x0e\x00\x00\xfc\x0f\x00\xfc\x10\x00\xfc\x11\x00",
		"vector":         "\xfd\x00\x04\x00\xfd\x0c0123456789abcdef\xfd\x0d0123456789abcdef\xfd\x15\x00\xfd\x54\x00\x00\x01\xfd\x5c\x02\x00\xfd\xff\x01",
		"atomic":         "\xfe\x00\x02\x00\xfe\x03\x00\xfe\x10\x02\x00\xfe\x4e\x03\x00",
	} {
		ins, err := walk(t, body(code+"\x0b"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if last := ins[len(ins)-1]; last.Op != wasmfile.OpEnd || last.Depth != 1 || last.End != len(code)+4 {
			t.Errorf("%s: the last instruction is %+v", name, last)
		}
		for i := 1; i < len(ins); i++ {
			if ins[i].Start != ins[i-1].End {
				t.Errorf("%s: a gap before %+v", name, ins[i])
			}
		}
	}
}

func TestBodyTellsIndexAndDepth(t *testing.T) {
	ins, err := walk(t, body("\x02\x40\x03\x00\x0c\x02\x0b\x0b\x20\x01\xfc\x0a\x00\x00\x0b"))
	if err != nil {
		t.Fatal(err)
	}
	want := []wasmfile.Instr{
		{Op: wasmfile.OpBlock, Start: 3, End: 5, Index: wasmfile.NoIndex, Depth: 1},
		{Op: wasmfile.OpLoop, Start: 5, End: 7, Index: 0, Depth: 2},
		{Op: wasmfile.OpBr, Start: 7, End: 9, Index: 2, Depth: 3},
		{Op: wasmfile.OpEnd, Start: 9, End: 10, Index: wasmfile.NoIndex, Depth: 3},
		{Op: wasmfile.OpEnd, Start: 10, End: 11, Index: wasmfile.NoIndex, Depth: 2},
		{Op: wasmfile.OpLocalGet, Start: 11, End: 13, Index: 1, Depth: 1},
		{Op: wasmfile.OpMemoryCopy, Start: 13, End: 17, Index: wasmfile.NoIndex, Depth: 1},
		{Op: wasmfile.OpEnd, Start: 17, End: 18, Index: wasmfile.NoIndex, Depth: 1},
	}
	for i, in := range ins {
		if in != want[i] {
			t.Errorf("instruction %d: got %+v, want %+v", i, in, want[i])
		}
	}
}

func TestBodyRefusesDamage(t *testing.T) {
	for name, code := range map[string]string{
		"no end":           "\x02\x40\x0b",
		"bytes left":       "\x0b\x0b",
		"label":            "\x0c\x01\x0b",
		"label of a table": "\x0e\x01\x00\x01\x0b",
		"table too long":   "\x0e\xff\x01\x00\x0b",
		"function":         "\x10\x01\x0b",
		"type":             "\x11\x01\x00\x0b",
		"table":            "\x11\x00\x01\x0b",
		"local":            "\x20\x02\x0b",
		"global":           "\x23\x01\x0b",
		"block type":       "\x02\x60\x0b\x0b",
		"block type index": "\x02\x01\x0b\x0b",
		"unknown":          "\xff\x0b",
		"unknown 0xfc":     "\xfc\x12\x0b",
		"unknown 0xfd":     "\xfd\x94\x02\x0b",
		"unknown 0xfe":     "\xfe\x04\x0b",
		"overlong 0xfd":    "\xfd\x8c\x000123456789abcdef\x0b", // engines take it for another instruction
		"overlong 0xfe":    "\xfe\x83\x00\x00\x0b",
		"cut off":          "\x43ab",
		"constant":         "\x41\xff\xff\xff\xff\x3f\x0b",
	} {
		if _, err := walk(t, body(code)); !errors.Is(err, wasmfile.ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, wasmfile.ErrMalformed)
		}
	}
}

// FuzzParse looks for panics, and for modules that read differently the second
// time.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.wasm")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(body("\x02\x40\x03\x00\x0c\x02\x0b\x0b\x20\x01\x0b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		m, err := wasmfile.Parse(b)
		if !bytes.Equal(was, b) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if !errors.Is(err, wasmfile.ErrMalformed) && !errors.Is(err, wasmfile.ErrNotWasm) && !errors.Is(err, wasmfile.ErrComponent) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		for i := range m.NumFuncs() {
			if _, ok := m.FuncType(uint32(i)); !ok {
				t.Fatalf("function %d has no type", i)
			}
		}
		for i := range m.Code {
			w := m.Body(i)
			var in wasmfile.Instr
			for w.Next(&in) {
				if in.End <= in.Start || in.End > len(m.Code[i].Bytes) {
					t.Fatalf("%+v", in)
				}
			}
		}
		for _, s := range m.Sections {
			last := 0
			if err := m.FuncIndices(s, func(start, end int, index uint32) {
				if start < last || end <= start || end > len(s.Bytes) || int(index) >= m.NumFuncs() {
					t.Fatalf("index %d at %d to %d", index, start, end)
				}
				last = end
			}); err != nil {
				t.Fatalf("read well before: %v", err)
			}
		}
		for i := range m.NumTables() {
			if _, ok := m.TableType(uint32(i)); !ok {
				t.Fatalf("table %d has no type", i)
			}
		}
		if err := m.CheckNames(); err != nil && !errors.Is(err, wasmfile.ErrMalformed) {
			t.Fatalf("an error without a class: %v", err)
		}
		m.FuncNames()
		m.ModuleName()
	})
}
