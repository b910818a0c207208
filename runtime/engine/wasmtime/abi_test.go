//go:build wasmtime && cgo

package wasmtime

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The declarations in abi.h are repeated after the real ones: the compiler
// refuses prototypes that differ, and checks the layouts of the real structures.
func TestDeclarationsMatchTheLibrary(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/bytecodealliance/wasmtime-go/v39").Output()
	if err != nil {
		t.Fatalf("find the headers: %v", err)
	}
	cc := "cc"
	if out, err := exec.Command("go", "env", "CC").Output(); err == nil {
		cc = strings.TrimSpace(string(out))
	}
	const source = `#include <wasm.h>
#include <wasi.h>
#include <wasmtime.h>
#define BOWLINE_REAL_HEADERS
#include "abi.h"
_Static_assert(__builtin_strcmp(BOWLINE_WASMTIME_VERSION, WASMTIME_VERSION) == 0, "version");
_Static_assert(WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED == 9, "trap codes");
_Static_assert(WASMTIME_V128 == 4, "kinds of values");
`
	file := filepath.Join(t.TempDir(), "abi.c")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	include := filepath.Join(strings.TrimSpace(string(dir)), "build", "include")
	out, err := exec.Command(cc, "-std=gnu11", "-Wall", "-Werror", "-fsyntax-only", "-I", include, "-I", ".", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
