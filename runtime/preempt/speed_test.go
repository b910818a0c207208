package preempt_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

// goProgram builds a Go program for WASI.
func goProgram(t testing.TB, src string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "main.wasm")
	cmd := exec.Command("go", "build", "-o", out, "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GO111MODULE=off")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	return read(t, out)
}

// BenchmarkRewrite measures the rewriting of a Go program of 2.6 MB.
func BenchmarkRewrite(b *testing.B) {
	wasm := goProgram(b, "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(1) }\n")
	for name, o := range map[string]preempt.Options{"rewrite": {}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			b.ReportAllocs()
			for b.Loop() {
				rewrite(b, wasm, o)
			}
		})
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(wasm)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wasmfile.Parse(wasm); err != nil {
				b.Fatal(err)
			}
		}
	})
}
