package preempt_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

func parse(t *testing.T, wasm []byte) *wasmfile.File {
	t.Helper()
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNamesFollowTheirFunctions(t *testing.T) {
	f := parse(t, rewrite(t, read(t, "testdata/names.wasm"), preempt.Options{MaxDepth: 10}))
	want := map[uint32]string{
		0: "log", 1: "bowline.yield", 2: "bowline.overflow", 3: "double", 4: "even", 5: "odd", 6: "both", 7: "start",
		8: "bowline.spent", 9: "bowline.refill", 10: "bowline.left",
	}
	if got := f.FuncNames(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := f.ModuleName(); got != "names" {
		t.Errorf("the module is called %q", got)
	}
	for name, index := range map[string]uint32{"f0": 3, "f1": 4, "f2": 6} {
		if e, ok := f.Export(name); !ok || e.Index != index {
			t.Errorf("export %s is function %d, want %d", name, e.Index, index)
		}
	}
	if *f.Start != 7 {
		t.Errorf("start function %d, want 7", *f.Start)
	}
}

// section makes a custom section.
func section(name, content string) []byte {
	return append([]byte{0, byte(1 + len(name) + len(content)), byte(len(name))}, name+content...)
}

func TestCustomSections(t *testing.T) {
	for name, kept := range map[string]bool{
		"bowline.manifest": true, "producers": true, "target_features": true, "go:buildid": true,
		".debug_info": false, "reloc.CODE": false, "sourceMappingURL": false, "metadata.code.branch_hint": false,
	} {
		in := append(module([]byte{0x10, 0}), section(name, "content")...)
		c, ok := parse(t, rewrite(t, in, preempt.Options{})).CustomSection(name)
		if ok != kept || kept && string(c.Bytes) != "content" {
			t.Errorf("%s: kept %v, want %v: %q", name, ok, kept, c.Bytes)
		}
	}
}

func TestDamagedNameSectionsAreDropped(t *testing.T) {
	names := section("name", "\x02\x06\xff\xff\xff\xff\x0f\x00")
	for _, code := range [][]byte{{0x10, 0}, {0x01}} {
		out := rewrite(t, append(module(code), names...), preempt.Options{})
		if _, ok := parse(t, out).CustomSection("name"); ok {
			t.Errorf("% x: the damaged section is still there", code)
		}
	}
	good := append(module([]byte{0x01}), section("name", "\x01\x04\x01\x00\x01f")...)
	if out := rewrite(t, good, preempt.Options{}); !bytes.Equal(out, good) {
		t.Errorf("% x became % x", good, out)
	}
}

func TestModulesAtTheLimitsAreRefused(t *testing.T) {
	nops := bytes.Repeat([]byte{0x01}, wasmfile.MaxBodySize-20)
	big := func(n int) []byte {
		return []byte{byte(n)&0x7f | 0x80, byte(n>>7)&0x7f | 0x80, byte(n>>14)&0x7f | 0x80, byte(n >> 21)}
	}
	body := append(append([]byte{0, 0x10, 0}, nops...), 0x0b)
	code := append(append([]byte{1}, big(len(body))...), body...)
	m := append([]byte("\x00asm\x01\x00\x00\x00"), 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10)
	m = append(append(m, big(len(code))...), code...)
	if _, err := preempt.Rewrite(m, preempt.Options{}); !errors.Is(err, preempt.ErrTooLarge) {
		t.Errorf("got %v, want %v", err, preempt.ErrTooLarge)
	}
}
