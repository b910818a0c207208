//go:build wasmtime && cgo

package wasmtime

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// Most of WASI is Wasmtime's own. These functions are ours, because the C API
//
//   - has no standard input but a file or bytes known beforehand, and no output
//     without a copy (fd_read, fd_write, and what else knows of descriptors 0 to 2),
//   - cannot end a sleep (poll_oneoff),
//   - takes exit codes below 126 only (proc_exit),
//   - counts its monotonic clock from the start of the instance, and BPF programs
//     count from the start of the machine (clock_time_get, in shim.c).
//
// path_open is here to count what is open, sched_yield because it needs no memory. Functions that the guest can be at work in for long
// reach Wasmtime's through ours, to be counted (counted).
//
// They hand descriptors that are not standard streams on to Wasmtime, through
// the module forward.wat.

// Errors of WASI preview 1.
const (
	wasiSuccess = 0
	wasiBadf    = 8
	wasiFault   = 21
	wasiInval   = 28
	wasiMfile   = 33
	wasiIO      = 29
	wasiPipe    = 64
)

// wasi is the state of our half of WASI in one instance.
type wasi struct {
	cfg *engine.WASI
	// std holds the descriptor that a guest knows each stream by, or -1.
	std     [3]int64
	forward map[string]*fn
	files   map[uint64]struct{} // descriptors that the guest has opened
}

// stream tells which standard stream a descriptor is.
func (w *wasi) stream(fd uint64) (int, bool) {
	for i, s := range w.std {
		if s == int64(fd) {
			return i, true
		}
	}
	return 0, false
}

// own is a WASI function of ours.
type own func(ctx context.Context, in *Instance, stack []uint64) (errno uint64, err error)

var (
	i32x1 = []engine.ValueType{engine.I32}
	i32x2 = []engine.ValueType{engine.I32, engine.I32}
	i32x4 = []engine.ValueType{engine.I32, engine.I32, engine.I32, engine.I32}
)

// ours answers our function of that name, if there is one.
func ours(name string) (engine.FuncType, own) {
	switch name {
	case "fd_close":
		return engine.FuncType{Params: i32x1, Results: i32x1}, fdClose
	case "fd_fdstat_get":
		return engine.FuncType{Params: i32x2, Results: i32x1}, fdStat
	case "fd_read":
		return engine.FuncType{Params: i32x4, Results: i32x1}, fdRead
	case "fd_renumber":
		return engine.FuncType{Params: i32x2, Results: i32x1}, fdRenumber
	case "fd_write":
		return engine.FuncType{Params: i32x4, Results: i32x1}, fdWrite
	case "path_open":
		return wasiType("iiiiiIIii"), pathOpen
	case "poll_oneoff":
		return engine.FuncType{Params: i32x4, Results: i32x1}, pollOneoff
	case "proc_exit":
		return engine.FuncType{Params: i32x1}, procExit
	case "sched_yield":
		return engine.FuncType{Results: i32x1}, schedYield
	}
	return engine.FuncType{}, nil
}

// clockType is the type of clock_time_get.
var clockType = engine.FuncType{Params: []engine.ValueType{engine.I32, engine.I64, engine.I32}, Results: i32x1}

// resolveWASI answers an import of WASI.
func (in *Instance) resolveWASI(imp engine.Import, h *C.struct_bowline_host, out *C.wasmtime_extern_t) error {
	if in.wasi == nil {
		return fmt.Errorf("import %s.%s: the instance gets no WASI", imp.Module, imp.Name)
	}
	if imp.Name == "clock_time_get" {
		typ := cType(clockType)
		defer C.wasm_functype_delete(typ)
		C.bowline_clock_new(in.c, typ, out)
		return nil
	}
	if typ, call := ours(imp.Name); call != nil {
		return in.offer(engine.HostFunc{
			Module: imp.Module, Name: imp.Name, Type: typ,
			Call: func(ctx context.Context, _ engine.Instance, stack []uint64) error {
				errno, err := call(ctx, in, stack)
				if len(typ.Results) > 0 {
					stack[0] = errno
				}
				return err
			},
		}, h, out)
	}
	if typ, ok := counted[imp.Name]; ok {
		return in.offer(engine.HostFunc{
			Module: imp.Module, Name: imp.Name, Type: typ,
			Call: func(ctx context.Context, in engine.Instance, stack []uint64) (err error) {
				stack[0], err = in.(*Instance).handOn(ctx, imp.Name, stack)
				return err
			},
		}, h, out)
	}
	p, n := chars(imp.Name)
	if !C.bowline_wasi_get(in.m.e.wasi, in.c, p, n, out) {
		return fmt.Errorf("import %s.%s: WASI preview 1 has no such function", imp.Module, imp.Name)
	}
	return nil
}

// openWASI configures Wasmtime's half.
func (in *Instance) openWASI(w *engine.WASI) error {
	c := C.wasi_config_new()
	if err := configure(c, w); err != nil {
		C.wasi_config_delete(c)
		return err
	}
	if err := take(C.wasmtime_context_set_wasi(in.c.context, c)); err != nil {
		return fmt.Errorf("open WASI: %w", err)
	}
	in.wasi = &wasi{cfg: w, std: [3]int64{0, 1, 2}, files: map[uint64]struct{}{}}
	return nil
}

func configure(c *C.wasi_config_t, w *engine.WASI) error {
	names, values := make([]string, len(w.Env)), make([]string, len(w.Env))
	for i, e := range w.Env {
		var ok bool
		if names[i], values[i], ok = strings.Cut(e, "="); !ok || names[i] == "" {
			return fmt.Errorf("environment entry %q: it must read NAME=value", e)
		}
	}
	for _, s := range append(append([]string(nil), w.Args...), w.Env...) {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return fmt.Errorf("argument or environment %q: WASI wants UTF-8 without zero bytes", s)
		}
	}
	var keep strs
	defer keep.free()
	C.wasi_config_set_argv(c, C.size_t(len(w.Args)), keep.list(w.Args))
	C.wasi_config_set_env(c, C.size_t(len(names)), keep.list(names), keep.list(values))
	for _, d := range w.Dirs {
		if err := preopen(c, d, &keep); err != nil {
			return err
		}
	}
	return nil
}

func preopen(c *C.wasi_config_t, d engine.Dir, keep *strs) error {
	info, err := os.Stat(d.Host)
	if err != nil {
		return fmt.Errorf("preopen a directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("preopen %s: not a directory", d.Host)
	}
	if !utf8.ValidString(d.Host+d.Guest) || strings.ContainsRune(d.Guest, 0) {
		return fmt.Errorf("preopen %q as %q: WASI wants UTF-8 without zero bytes", d.Host, d.Guest)
	}
	dirs, files := C.size_t(C.WASMTIME_WASI_DIR_PERMS_READ), C.size_t(C.WASMTIME_WASI_FILE_PERMS_READ)
	if d.Write {
		dirs |= C.WASMTIME_WASI_DIR_PERMS_WRITE
		files |= C.WASMTIME_WASI_FILE_PERMS_WRITE
	}
	if !C.wasi_config_preopen_dir(c, keep.one(d.Host), keep.one(d.Guest), dirs, files) {
		return fmt.Errorf("preopen %s: the directory cannot be opened; check its permissions", d.Host)
	}
	return nil
}

// strs owns C strings.
type strs struct{ all []unsafe.Pointer }

func (s *strs) one(v string) *C.char {
	p := C.CString(v)
	s.all = append(s.all, unsafe.Pointer(p))
	return p
}

func (s *strs) list(v []string) **C.char {
	p := (**C.char)(C.calloc(C.size_t(len(v)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	s.all = append(s.all, unsafe.Pointer(p))
	for i, e := range v {
		unsafe.Slice(p, len(v))[i] = s.one(e)
	}
	return p
}

func (s *strs) free() {
	for _, p := range s.all {
		C.free(p)
	}
}

// handOn calls Wasmtime's function of that name, with the guest's memory.
func (in *Instance) handOn(ctx context.Context, name string, stack []uint64) (uint64, error) {
	if !in.c.has_memory {
		return wasiFault, nil
	}
	if in.wasi.forward == nil {
		if err := in.openForward(); err != nil {
			return 0, err
		}
	}
	if err := in.wasi.forward[name].Call(ctx, stack); err != nil {
		return 0, err
	}
	return stack[0], nil
}

// openForward makes an instance of forward.wat that has the guest's memory.
func (in *Instance) openForward() error {
	m, err := in.m.e.forwarder()
	if err != nil {
		return fmt.Errorf("compile the WASI forwarder: %w", err)
	}
	externs := make([]C.wasmtime_extern_t, len(m.imports))
	for i, imp := range m.imports {
		if imp.what != "" {
			C.bowline_memory_extern(in.c, &externs[i])
			continue
		}
		p, n := chars(imp.Name)
		C.bowline_wasi_get(in.m.e.wasi, in.c, p, n, &externs[i])
	}
	var c C.wasmtime_instance_t
	if C.bowline_instantiate(in.c, m.c, &externs[0], C.size_t(len(externs)), &c) != 0 {
		return fmt.Errorf("start the WASI forwarder: %w", in.fault())
	}
	forward := map[string]*fn{}
	for name, typ := range m.funcs {
		if forward[name], err = in.find(&c, name, typ); err != nil {
			return err
		}
	}
	in.wasi.forward = forward
	return nil
}
