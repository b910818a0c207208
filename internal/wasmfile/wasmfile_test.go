package wasmfile_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

const header = "\x00asm\x01\x00\x00\x00"

// sections puts sections (their id, then their content) into a module.
func sections(contents ...string) []byte {
	m := []byte(header)
	for _, c := range contents {
		m = append(m, c[0], byte(len(c)-1))
		m = append(m, c[1:]...)
	}
	return m
}

// diff is empty if two values are equal.
func diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return fmt.Sprintf("got %+v, want %+v", got, want)
}

func read(t testing.TB, file string) *wasmfile.File {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := wasmfile.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseGivesWhatTheModuleHas(t *testing.T) {
	f := read(t, "testdata/all.wasm")
	unary := engine.FuncType{Params: []engine.ValueType{engine.I32}, Results: []engine.ValueType{engine.I32}}
	log := engine.FuncType{Params: []engine.ValueType{engine.I32}}
	if d := diff([]wasmfile.Import{
		{Module: "env", Name: "log", Kind: wasmfile.KindFunc, TypeIndex: 1, Type: log},
		{Module: "env", Name: "base", Kind: wasmfile.KindGlobal, Global: wasmfile.GlobalType{Type: engine.I32}},
		{Module: "env", Name: "table", Kind: wasmfile.KindTable, Table: wasmfile.Table{Elem: engine.FuncRef, Limits: wasmfile.Limits{Min: 3}}},
	}, f.Imports); d != "" {
		t.Error(d)
	}
	if d := diff([]wasmfile.Export{
		{Name: "double", Kind: wasmfile.KindFunc, Index: 1},
		{Name: "memory", Kind: wasmfile.KindMemory},
		{Name: "g", Kind: wasmfile.KindGlobal, Index: 1},
		{Name: "t", Kind: wasmfile.KindTable, Index: 1},
	}, f.Exports); d != "" {
		t.Error(d)
	}
	if got, ok := f.FuncType(1); !ok || !got.Equal(unary) {
		t.Errorf("function 1 has the type %v", got)
	}
	if _, ok := f.FuncType(uint32(f.NumFuncs())); ok {
		t.Error("there is a function beyond the last")
	}
	if m, ok := f.Memory0(); !ok || m.Limits != (wasmfile.Limits{Min: 2, Max: 8, HasMax: true}) {
		t.Errorf("memory %+v", m)
	}
	if f.Start == nil || *f.Start != 2 {
		t.Errorf("start %v", f.Start)
	}
	if d := diff(map[uint32]string{0: "log", 1: "double", 2: "start"}, f.FuncNames()); d != "" {
		t.Error(d)
	}
	if got := f.ModuleName(); got != "all" {
		t.Errorf("module name %q", got)
	}
	if f.NumFuncs() != 3 || f.NumGlobals() != 2 || f.NumTables() != 2 || f.NumMemories() != 1 || f.NumTags() != 0 || f.Elements != 2 {
		t.Errorf("counts: %d %d %d %d %d %d", f.NumFuncs(), f.NumGlobals(), f.NumTables(), f.NumMemories(), f.NumTags(), f.Elements)
	}
}

func TestDataSegmentsSayWhereTheyAre(t *testing.T) {
	raw, err := os.ReadFile("testdata/all.wasm")
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, "testdata/all.wasm")
	if len(f.Data) != 3 {
		t.Fatalf("%d segments, want 3", len(f.Data))
	}
	for i, want := range []wasmfile.DataSegment{
		{Bytes: []byte("hello"), MemOffset: 1024, MemOffsetKnown: true},
		{Bytes: []byte("somewhere")},
		{Bytes: []byte("later"), Passive: true},
	} {
		got := f.Data[i]
		if s := string(raw[got.Offset : got.Offset+uint64(len(got.Bytes))]); s != string(want.Bytes) {
			t.Errorf("segment %d: at its offset is %q", i, s)
		}
		want.Offset = got.Offset
		if d := diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestCustomSections(t *testing.T) {
	f, err := wasmfile.Parse(sections("\x00\x05helloworld", "\x01\x00", "\x00\x00", "\x00\x05hello"))
	if err != nil {
		t.Fatal(err)
	}
	if d := diff([]wasmfile.CustomSection{
		{Name: "hello", Bytes: []byte("world"), Offset: 16},
		{Name: "", Bytes: []byte{}, Offset: 27},
		{Name: "hello", Bytes: []byte{}, Offset: 35},
	}, f.Custom); d != "" {
		t.Error(d)
	}
	if c, ok := f.CustomSection("hello"); !ok || string(c.Bytes) != "world" {
		t.Errorf("got %q", c.Bytes)
	}
}

func TestTableType(t *testing.T) {
	f := read(t, "testdata/all.wasm")
	for i, want := range []wasmfile.Table{
		{Elem: engine.FuncRef, Limits: wasmfile.Limits{Min: 3}}, // imported
		{Elem: engine.ExternRef, Limits: wasmfile.Limits{Min: 4}},
	} {
		got, ok := f.TableType(uint32(i))
		if d := diff(want, got); d != "" || !ok {
			t.Errorf("table %d: %s", i, d)
		}
	}
	if _, ok := f.TableType(2); ok {
		t.Error("there is a table beyond the last")
	}
	f, err := wasmfile.Parse(sections("\x04\x01\x40\x00\x70\x00\x01\xd0\x70\x0b"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := f.TableType(0); string(got.Init.Bytes) != "\xd0\x70\x0b" {
		t.Errorf("initial value % x", got.Init.Bytes)
	}
}

func TestCheckNames(t *testing.T) {
	for name, c := range map[string]struct{ names, problem string }{
		"none":                    {"", ""},
		"all kinds":               {"\x00\x02\x01m\x01\x04\x01\x00\x01f\x02\x06\x01\x00\x01\x00\x01x\x09\x01\xff", ""},
		"half a subsection":       {"\x01\x04\x01", "4 bytes announced"},
		"no size":                 {"\x01", "unexpected end"},
		"huge module name":        {"\x00\x05\xff\xff\xff\xff\x0f", "4294967295 bytes announced"},
		"more functions":          {"\x01\x03\xff\xff\x03", "65535 names announced"},
		"huge count of functions": {"\x01\x05\xff\xff\xff\xff\x0f", "4294967295 names"},
		"huge count of locals":    {"\x02\x07\x01\x00\xff\xff\xff\xff\x0f", "4294967295 names"},
		"an empty subsection":     {"\x01\x00\x09\x01\x00", "unexpected end"},
		"bytes left":              {"\x01\x02\x00\x00", "1 bytes too many"},
		"no UTF-8":                {"\x00\x02\x01\xff", "UTF-8"},
	} {
		// What is wrong is wrong in a second section too.
		f, err := wasmfile.Parse(sections("\x00\x04name", "\x00\x04name"+c.names))
		if err != nil {
			t.Fatal(err)
		}
		err = f.CheckNames()
		if c.problem == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.problem != "" && (!errors.Is(err, wasmfile.ErrMalformed) || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%s: got %v, want %q", name, err, c.problem)
		}
	}
}

func TestOtherFilesAreNamed(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "the file is empty",
		"\x00as":                      "truncated",
		"\x7fELF\x02\x01\x01":         "an ELF file",
		"(module (func))":             "wat2wasm",
		"  ;; a comment\n(module)":    "wat2wasm",
		"\x1f\x8b\x08\x00":            "gzip",
		"<!DOCTYPE html><html>":       "HTML",
		"PK\x03\x04":                  "zip",
		"BC\xc0\xde":                  "bitcode",
		"#!/bin/sh":                   "script",
		"version https://git-lfs.x/1": "Git LFS",
		"just words":                  "text",
		"\x01\x02\x03\x04":            "starts with 01 02 03 04",
	} {
		_, err := wasmfile.Parse([]byte(in))
		if !errors.Is(err, wasmfile.ErrNotWasm) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", in, err, want)
		}
	}
	bpf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x01\x00\xf7\x00"
	if _, err := wasmfile.Parse([]byte(bpf)); err == nil || !strings.Contains(err.Error(), "BPF object") {
		t.Errorf("a BPF object: %v", err)
	}
	if _, err := wasmfile.Parse([]byte("\x00asm\x0d\x00\x01\x00")); !errors.Is(err, wasmfile.ErrComponent) {
		t.Errorf("a component: %v", err)
	}
}

func TestDamageIsLocated(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      []byte
		section string
		offset  uint64
		problem string
	}{
		{"half a header", []byte("\x00asm\x01"), "", 5, "truncated"},
		{"version 2", []byte("\x00asm\x02\x00\x00\x00"), "", 4, "version"},
		{"cut off", []byte(header + "\x01\x10\x01"), "", 8, "truncated"},
		{"unknown section", sections("\x40"), "", 8, "unknown section"},
		{"wrong order", sections("\x03\x00", "\x01\x00"), "", 11, "stands after"},
		{"twice", sections("\x01\x00", "\x01\x00"), "", 11, "stands after"},
		{"huge count", sections("\x01\xff\xff\xff\xff\x0f"), "type", 10, "at most"},
		{"large count", sections("\x01\x80\x80\x04"), "type", 10, "bytes are left"},
		{"number too long", sections("\x01\x80\x80\x80\x80\x80\x00"), "type", 10, "more bytes"},
		{"number too large", sections("\x01\xff\xff\xff\xff\x1f"), "type", 10, "larger"},
		{"form of a type", sections("\x01\x01\x5f\x00\x00"), "type", 11, "only function types"},
		{"bytes left", sections("\x01\x00\x00"), "type", 11, "too many"},
		{"no such type", sections("\x03\x01\x00"), "function", 11, "type 0"},
		{"no body", sections("\x01\x01\x60\x00\x00", "\x03\x01\x00"), "", 18, "1 functions declared, 0 bodies"},
		{"name", sections("\x02\x01\x01\xff\x01a\x00\x00"), "import", 11, "UTF-8"},
		{"64-bit memory", sections("\x05\x01\x04\x01"), "memory", 11, "wasm32"},
		{"maximum", sections("\x05\x01\x01\x02\x01"), "memory", 11, "below the minimum"},
	} {
		_, err := wasmfile.Parse(c.in)
		var m *wasmfile.MalformedError
		if !errors.Is(err, wasmfile.ErrMalformed) || !errors.As(err, &m) {
			t.Errorf("%s: got %v", c.name, err)
			continue
		}
		if m.Section != c.section || m.Offset != c.offset || !strings.Contains(m.Problem, c.problem) {
			t.Errorf("%s: got %v, want offset 0x%x of %q: %s", c.name, err, c.offset, c.section, c.problem)
		}
	}
}

// A count costs no memory before the bytes are there.
func TestHostileCountsCostNothing(t *testing.T) {
	for id := byte(1); id <= 11; id++ {
		in := append([]byte(header), id, 5, 0xc0, 0x84, 0x3d, 0, 0) // 1000000 items
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := wasmfile.Parse(in)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("section %d: no error", id)
		}
		allocs := after.TotalAlloc - before.TotalAlloc
		if allocs > 4096 {
			t.Errorf("section %d: %d bytes for a module of %d", id, allocs, len(in))
		}
	}
}
