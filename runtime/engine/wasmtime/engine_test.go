//go:build wasmtime && cgo

package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
)

func TestCompileRefusesWhatIsNoModule(t *testing.T) {
	e := newEngine(t, Options{})
	valid := binaryOf(t, `(module (memory 1) (func (export "f") (result i32) (i32.const 1)) (start 1) (func))`)
	cases := map[string][]byte{
		"nothing": nil, "text": []byte("(module)"), "header only in part": valid[:6],
		"component":  []byte("\x00asm\x0d\x00\x01\x00"),
		"type error": bytes.Replace(valid, []byte{0x41, 1, 0x0b}, []byte{0x01, 1, 0x0b}, 1),
	}
	for n := 9; n < len(valid); n += 3 {
		cases["cut at "+string(rune('a'+n%26))+string(rune('a'+n/26))] = valid[:n]
	}
	for name, b := range cases {
		m, err := e.Compile(context.Background(), b)
		if err == nil { // a cut between two sections may leave a module
			m.Close()
			continue
		}
		if !errors.Is(err, engine.ErrInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one line that matches ErrInvalid", name, err)
		}
	}
}

// What wazero's CoreFeaturesV2 does not know must not work here either.
func TestFeatures(t *testing.T) {
	e := newEngine(t, Options{})
	for wat, want := range map[string]bool{
		`(module (func (result i32 i64) (i32.const 1) (i64.const 2)))`:                       true,
		`(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))`: true,
		`(module (func (drop (i32.extend8_s (i32.const 1)))))`:                               true,
		`(module (func (drop (i32.trunc_sat_f32_s (f32.const 1)))))`:                         true,
		`(module (func (param externref)) (table 1 externref))`:                              true,
		`(module (func (drop (i8x16.splat (i32.const 1)))))`:                                 true,
		`(module (memory 1 1 shared))`:                                                       false,
		`(module (func $f (return_call $f)))`:                                                false,
		`(module (memory 1) (memory 1))`:                                                     false,
		`(module (memory i64 1))`:                                                            false,
		`(module (type (struct)))`:                                                           false,
		`(module (tag))`:                                                                     false,
		`(module (func (drop (i8x16.relaxed_swizzle (v128.const i32x4 0 0 0 0) (v128.const i32x4 0 0 0 0)))))`: false,
	} {
		m, err := e.Compile(context.Background(), binaryOf(t, wat))
		if (err == nil) != want {
			t.Errorf("%s: got %v, want valid: %v", wat, err, want)
		}
		if err == nil {
			m.Close()
		} else if !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", wat, err)
		}
	}
}

func TestRewriteKeepsNamesApart(t *testing.T) {
	in := guest(t, `(module (memory 1) (table 1 funcref) (start $s) (func $s)
		(func (export "memory") (result i32) (i32.const 1))
		(func (export "__indirect_function_table") (result i32) (i32.const 2))
		(func (export "bowline:start") (result i32) (i32.const 3))
		(func (export "bowline:memory:0") (result i32) (i32.const 4)))`, engine.InstanceConfig{})
	if len(in.Memory()) != pageSize {
		t.Errorf("memory of %d bytes, want a page", len(in.Memory()))
	}
	for name, want := range map[string]uint32{"memory": 1, "__indirect_function_table": 2, "bowline:start": 3, "bowline:memory:0": 4} {
		if got := call1(t, in, name); got != want {
			t.Errorf("%s answers %d, want %d", name, got, want)
		}
	}
	if len(in.m.funcs) != 4 {
		t.Errorf("exports %v, want the module's four", in.m.funcs)
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add(binaryOf(f, `(module (import "m" "f" (func)) (memory 1 2) (table 1 funcref) (start 0) (func (export "x")))`))
	f.Add(forwardWasm)
	e, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := wasmfile.Parse(b)
		if err != nil {
			return
		}
		out, names := rewrite(file, b)
		if e.validate(b) != nil {
			return
		}
		if err := e.validate(out); err != nil {
			t.Errorf("a valid module is not valid any more: %v", err)
		}
		if file, err = wasmfile.Parse(out); err != nil {
			t.Fatal(err)
		}
		if again, same := rewrite(file, out); names.start == "" && (!bytes.Equal(again, out) || same != names) {
			t.Errorf("the second time gives %+v, the first gave %+v", same, names)
		}
	})
}

// Instances that come and go leave nothing behind.
func TestNoLeak(t *testing.T) {
	m := compileWat(t, newEngine(t, Options{}), helloWat)
	once := func() {
		var out bytes.Buffer
		in, err := m.Instantiate(context.Background(), engine.InstanceConfig{WASI: &engine.WASI{
			Args: []string{"x"}, Stdout: &out, Dirs: []engine.Dir{{Host: "/", Guest: "/"}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Call(context.Background(), "_start", void, nil); err != nil || out.String() != "hello\n" {
			t.Fatalf("got %q, %v", out.String(), err)
		}
		in.Close()
	}
	for range 20 {
		once()
	}
	fds, maps, slots := count(t, "/proc/self/fd"), mappings(t), len(*live.slots.Load())
	for range 200 {
		once()
	}
	if n := count(t, "/proc/self/fd"); n > fds {
		t.Errorf("%d descriptors became %d", fds, n)
	}
	if n := mappings(t); n > maps+50 {
		t.Errorf("%d mappings became %d", maps, n)
	}
	if n := len(*live.slots.Load()); n > slots {
		t.Errorf("%d slots of the registry became %d", slots, n)
	}
}

func count(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func mappings(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

func TestWithoutTheTagThereIsNothing(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", "{{.GoFiles}} {{.CgoFiles}} {{.CFiles}}", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "[doc.go] [] []" {
		t.Errorf("got %s, %v", got, err)
	}
}
