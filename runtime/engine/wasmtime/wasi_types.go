//go:build wasmtime && cgo

package wasmtime

import "github.com/bowline-edge/bowline/runtime/engine"

// counted are functions of Wasmtime's own WASI that reach it through a host function and
// forward.wat, so that calls of them count as calls of the host, with their types. Those that only tell
// what does not change are left to Wasmtime alone.
var counted = map[string]engine.FuncType{
	"fd_datasync":             wasiType("i"),
	"fd_filestat_get":         wasiType("ii"),
	"fd_filestat_set_size":    wasiType("iI"),
	"fd_pread":                wasiType("iiiIi"),
	"fd_pwrite":               wasiType("iiiIi"),
	"fd_readdir":              wasiType("iiiIi"),
	"fd_seek":                 wasiType("iIii"),
	"fd_sync":                 wasiType("i"),
	"fd_tell":                 wasiType("ii"),
	"path_create_directory":   wasiType("iii"),
	"path_filestat_get":       wasiType("iiiii"),
	"path_filestat_set_times": wasiType("iiiiIIi"),
	"path_link":               wasiType("iiiiiii"),
	"path_readlink":           wasiType("iiiiii"),
	"path_remove_directory":   wasiType("iii"),
	"path_rename":             wasiType("iiiiii"),
	"path_symlink":            wasiType("iiiii"),
	"path_unlink_file":        wasiType("iii"),
	"random_get":              wasiType("ii"),
}

// wasiType reads "iI" as (i32, i64) -> i32; every function of WASI answers an errno.
func wasiType(params string) engine.FuncType {
	t := engine.FuncType{Results: i32x1}
	for _, p := range params {
		v := engine.I32
		if p == 'I' {
			v = engine.I64
		}
		t.Params = append(t.Params, v)
	}
	return t
}
