package wasmfile_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

func TestSetCustomReplacesAndChangesNothingElse(t *testing.T) {
	wasm, err := os.ReadFile("testdata/all.wasm")
	if err != nil {
		t.Fatal(err)
	}
	set := func(wasm []byte, content string) []byte {
		t.Helper()
		out, err := wasmfile.SetCustom(wasm, "bowline.manifest", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := set(wasm, "one")
	if !bytes.HasPrefix(first, wasm) {
		t.Error("the module is not the beginning of the one with the section")
	}
	long := string(bytes.Repeat([]byte("x"), 300))
	for _, content := range []string{"one", "", long} {
		out := set(set(first, long), content)
		if content == "one" && !bytes.Equal(out, first) {
			t.Error("the same content gives other bytes")
		}
		f, err := wasmfile.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range f.Custom {
			if c.Name == "bowline.manifest" {
				n++
			}
		}
		if s, _ := f.CustomSection("bowline.manifest"); n != 1 || string(s.Bytes) != content {
			t.Errorf("%d sections, the first %q, want one, %q", n, s.Bytes, content)
		}
	}
	// All of a name are replaced, wherever they lie.
	middle := append(append(append([]byte{}, wasm[:8]...), first[len(wasm):]...), wasm[8:]...)
	if out := set(append(middle, first[len(wasm):]...), "one"); !bytes.Equal(out, first) {
		t.Error("sections before and behind are not replaced by one at the end")
	}
	if _, err := wasmfile.SetCustom(wasm[:20], "x", nil); err == nil {
		t.Error("a damaged module is taken")
	}
}
