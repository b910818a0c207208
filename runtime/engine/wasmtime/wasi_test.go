//go:build wasmtime && cgo

package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

const helloWat = `(module
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1) (data (i32.const 16) "hello\n")
	(func (export "_start")
		(i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 6))
		(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`

// wasiWat exports a wrapper for each function that a test calls; memory 0x400 is
// free for what the test puts there.
const wasiWat = `(module
	(type $4 (func (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_read" (func $r (type $4)))
	(import "wasi_snapshot_preview1" "fd_write" (func $w (type $4)))
	(import "wasi_snapshot_preview1" "fd_close" (func $c (param i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_renumber" (func $n (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_fdstat_get" (func $s (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "poll_oneoff" (func $p (type $4)))
	(import "wasi_snapshot_preview1" "clock_time_get" (func $t (param i32 i64 i32) (result i32)))
	(import "wasi_snapshot_preview1" "proc_exit" (func $x (param i32)))
	(import "wasi_snapshot_preview1" "random_get" (func $rnd (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "args_get" (func $a (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "environ_get" (func $e (param i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $d (param i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "path_open"
		(func $o (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	(memory (export "mem") 1)
	(export "read" (func $r)) (export "close" (func $c)) (export "renumber" (func $n))
	(func (export "write") (type $4) (call $w (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
	(func (export "rd") (type $4) (call $r (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
	(func (export "cl") (param i32) (result i32) (call $c (local.get 0)))
	(func (export "renum") (param i32 i32) (result i32) (call $n (local.get 0) (local.get 1)))
	(func (export "stat") (param i32 i32) (result i32) (call $s (local.get 0) (local.get 1)))
	(func (export "poll") (type $4) (call $p (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
	(func (export "time") (param i32 i32) (result i32) (call $t (local.get 0) (i64.const 0) (local.get 1)))
	(func (export "exit") (param i32) (call $x (local.get 0)) unreachable)
	(func (export "random") (param i32 i32) (result i32) (call $rnd (local.get 0) (local.get 1)))
	(func (export "args") (param i32 i32) (result i32) (call $a (local.get 0) (local.get 1)))
	(func (export "env") (param i32 i32) (result i32) (call $e (local.get 0) (local.get 1)))
	(func (export "prestat") (param i32 i32 i32) (result i32) (call $d (local.get 0) (local.get 1) (local.get 2)))
	(func (export "open") (param i32 i32 i32 i32) (result i32) ;; dir, path, length, oflags; fd at 0
		(call $o (local.get 0) (i32.const 1) (local.get 1) (local.get 2) (local.get 3)
			(select (i64.const 0x42) (i64.const 2) (local.get 3)) (i64.const 0) (i32.const 0) (i32.const 0))))`

// wasiGuest is a guest of wasiWat; do calls one of its wrappers.
type wasiGuest struct {
	*Instance
	t testing.TB
}

func newWASI(t testing.TB, w engine.WASI) wasiGuest {
	return wasiGuest{guest(t, wasiWat, engine.InstanceConfig{WASI: &w}), t}
}

func (g wasiGuest) do(name string, args ...uint64) uint32 {
	g.t.Helper()
	typ, ok := g.HasExport(name)
	if !ok {
		g.t.Fatal("no export ", name)
	}
	stack := append(args, 0)
	if err := g.Call(context.Background(), name, typ, stack); err != nil {
		g.t.Fatalf("%s: %v", name, err)
	}
	return uint32(stack[0])
}

// io puts an iovec for n bytes at 0x400 to 0x100 and calls fn.
func (g wasiGuest) io(name string, fd uint64, n uint32) (errno, count uint32) {
	mem := g.Memory()
	copy(mem[0x100:], le(0x400, n))
	errno = g.do(name, fd, 0x100, 1, 0x110)
	return errno, uint32(mem[0x110]) | uint32(mem[0x111])<<8
}

func le(words ...uint32) (b []byte) {
	for _, w := range words {
		b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return b
}

func (g wasiGuest) open(dir uint64, path string, oflags uint64) (errno, fd uint32) {
	copy(g.Memory()[0x200:], path)
	errno = g.do("open", dir, 0x200, uint64(len(path)), oflags)
	return errno, uint32(g.Memory()[0])
}

func TestWASIStandardStreams(t *testing.T) {
	var out, errs bytes.Buffer
	g := newWASI(t, engine.WASI{Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &errs})
	copy(g.Memory()[0x400:], "abc")
	for fd, want := range map[uint64]uint32{0: wasiBadf, 1: 0, 2: 0, 77: wasiBadf} {
		if errno, _ := g.io("write", fd, 3); errno != want {
			t.Errorf("write to %d: errno %d, want %d", fd, errno, want)
		}
	}
	if out.String() != "abc" || errs.String() != "abc" {
		t.Errorf("out %q, err %q", &out, &errs)
	}
	if errno, n := g.io("rd", 0, 3); errno != 0 || n != 3 || string(g.Memory()[0x400:0x403]) != "inp" {
		t.Errorf("read: errno %d, %d bytes, %q", errno, n, g.Memory()[0x400:0x403])
	}
	if _, n := g.io("rd", 0, 100); n != 2 {
		t.Errorf("the second read gave %d bytes, want the 2 that are left", n)
	}
	if errno, n := g.io("rd", 0, 100); errno != 0 || n != 0 {
		t.Errorf("at the end: errno %d, %d bytes", errno, n)
	}
	for _, iovs := range [][]uint64{{0xfffffff8, 1}, {0x100, 0xffffffff}} {
		if errno := g.do("write", 1, iovs[0], iovs[1], 0); errno != wasiFault {
			t.Errorf("iovecs %#x: errno %d, want %d", iovs, errno, wasiFault)
		}
	}
	copy(g.Memory()[0x100:], le(0xffffff00, 0xffffff00))
	if errno := g.do("write", 1, 0x100, 1, 0); errno != wasiFault {
		t.Errorf("a wrapped iovec: errno %d, want %d", errno, wasiFault)
	}
	if errno := g.do("stat", 1, 0x300); errno != 0 || g.Memory()[0x300] != 0 || g.Memory()[0x308] != 1<<6 {
		t.Errorf("stat: errno %d, %v", errno, g.Memory()[0x300:0x318])
	}
	if errno := g.do("stat", 1, 0xffff); errno != wasiFault {
		t.Errorf("stat beyond the memory: errno %d", errno)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (f failing) Read([]byte) (int, error)  { return 0, f.err }

func TestWASIStreamErrors(t *testing.T) {
	for err, want := range map[error]uint32{syscall.EPIPE: wasiPipe, os.ErrClosed: wasiBadf, errors.New("x"): wasiIO} {
		g := newWASI(t, engine.WASI{Stdin: failing{err}, Stdout: failing{err}})
		w, _ := g.io("write", 1, 3)
		r, _ := g.io("rd", 0, 3)
		if w != want || r != want {
			t.Errorf("%v: errno %d and %d, want %d", err, w, r, want)
		}
	}
	g := newWASI(t, engine.WASI{})
	if errno, n := g.io("write", 1, 3); errno != 0 || n != 3 {
		t.Errorf("write to nowhere: errno %d, %d bytes", errno, n)
	}
}

func TestWASIClosedAndMovedStreams(t *testing.T) {
	var out bytes.Buffer
	dir := t.TempDir()
	g := newWASI(t, engine.WASI{Stdout: &out, Dirs: []engine.Dir{{Host: dir, Guest: "/", Write: true}}})
	if errno := g.do("cl", 1); errno != 0 {
		t.Fatalf("close: errno %d", errno)
	}
	if errno, _ := g.io("write", 1, 3); errno != wasiBadf {
		t.Errorf("write to a closed stream: errno %d", errno)
	}
	errno, fd := g.open(3, "file", 1)
	if errno != 0 {
		t.Fatalf("open: errno %d", errno)
	}
	copy(g.Memory()[0x400:], "abc")
	if errno, n := g.io("write", uint64(fd), 3); errno != 0 || n != 3 {
		t.Errorf("write to descriptor %d: errno %d, %d bytes", fd, errno, n)
	}
	if errno := g.do("renum", uint64(fd), 2); errno != 0 {
		t.Errorf("renumber: errno %d", errno)
	}
	g.io("write", 2, 3)
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "abcabc" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if out.Len() > 0 {
		t.Errorf("standard output got %q", &out)
	}
}

func TestWASIArgumentsAndEnvironment(t *testing.T) {
	g := newWASI(t, engine.WASI{Args: []string{"prog", "x y", ""}, Env: []string{"A=1", "B=x=y", "C="}})
	g.do("args", 0x100, 0x400)
	if got, want := string(g.Memory()[0x400:0x40a]), "prog\x00x y\x00\x00"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
	g.do("env", 0x100, 0x400)
	if got, want := string(g.Memory()[0x400:0x40d]), "A=1\x00B=x=y\x00C=\x00"; got != want {
		t.Errorf("environment %q, want %q", got, want)
	}
	g.do("random", 0x400, 32)
	if bytes.Equal(g.Memory()[0x400:0x420], make([]byte, 32)) {
		t.Error("32 random bytes are all zero")
	}
	m := compileWat(t, newEngine(t, Options{}), `(module)`)
	for want, w := range map[string]engine.WASI{
		"UTF-8":           {Args: []string{"\xff"}},
		"NAME=value":      {Env: []string{"A"}},
		"zero bytes":      {Env: []string{"A=\x00"}},
		"not a directory": {Dirs: []engine.Dir{{Host: "/dev/null", Guest: "/"}}},
		"no such file":    {Dirs: []engine.Dir{{Host: "/nonexistent", Guest: "/"}}},
	} {
		if _, err := m.Instantiate(context.Background(), engine.InstanceConfig{WASI: &w}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestWASIExitCodes(t *testing.T) {
	g := newWASI(t, engine.WASI{})
	typ := engine.FuncType{Params: []engine.ValueType{engine.I32}}
	for _, code := range []uint32{0, 1, 125, 126, 255, 1<<32 - 1} {
		var exit *engine.ExitError
		if err := g.Call(context.Background(), "exit", typ, []uint64{uint64(code)}); !errors.As(err, &exit) || exit.Code != code {
			t.Errorf("exit %d gave %v", code, err)
		}
	}
}

func TestWASIDirectoriesConfine(t *testing.T) {
	top := t.TempDir()
	ro, rw := filepath.Join(top, "ro"), filepath.Join(top, "rw")
	for _, d := range []string{ro, rw} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{"up": "../secret", "abs": filepath.Join(top, "secret"), "out": "..", "good": "file"} {
			if err := os.Symlink(target, filepath.Join(d, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(d, "file"), []byte("data"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(top, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	g := newWASI(t, engine.WASI{Dirs: []engine.Dir{{Host: ro, Guest: "/r"}, {Host: rw, Guest: "/w", Write: true}}})
	for fd, want := range map[uint64]string{3: "/r", 4: "/w"} {
		if errno := g.do("prestat", fd, 0x400, 2); errno != 0 || string(g.Memory()[0x400:0x402]) != want {
			t.Errorf("descriptor %d: errno %d, %q", fd, errno, g.Memory()[0x400:0x402])
		}
		for _, path := range []string{"../secret", "up", "abs", "out/secret", "/etc/passwd", "nope/../../secret"} {
			if errno, _ := g.open(fd, path, 0); errno == 0 {
				t.Errorf("%s opens %s", want, path)
			}
		}
		for _, path := range []string{"file", "good"} {
			errno, f := g.open(fd, path, 0)
			if errno != 0 {
				t.Errorf("%s does not open %s: errno %d", want, path, errno)
				continue
			}
			if errno, n := g.io("rd", uint64(f), 10); errno != 0 || string(g.Memory()[0x400:0x400+n]) != "data" {
				t.Errorf("%s/%s: errno %d, %q", want, path, errno, g.Memory()[0x400:0x400+n])
			}
		}
	}
	const create = 1
	if errno, _ := g.open(3, "new", create); errno == 0 {
		t.Error("a read-only directory takes a new file")
	} else {
		t.Logf("errno %d", errno)
	}
	if errno, _ := g.open(3, "file", create); errno == 0 {
		t.Error("a file in a read-only directory opens for writing")
	}
	if errno, _ := g.open(4, "new", create); errno != 0 {
		t.Errorf("a writable directory refuses a new file: errno %d", errno)
	}
	if _, err := os.Stat(filepath.Join(ro, "new")); err == nil {
		t.Error("the file is there")
	}
}

func TestWASIClocks(t *testing.T) {
	g := newWASI(t, engine.WASI{})
	for id, clock := range map[uint64]int32{0: unix.CLOCK_REALTIME, 1: unix.CLOCK_MONOTONIC} {
		var before, after unix.Timespec
		unix.ClockGettime(clock, &before)
		errno := g.do("time", id, 0x400)
		unix.ClockGettime(clock, &after)
		got := int64(word(g.Memory()[0x400:]))
		if errno != 0 || got < before.Nano() || got > after.Nano() {
			t.Errorf("clock %d: errno %d, %d is not between %d and %d", id, errno, got, before.Nano(), after.Nano())
		}
	}
	if errno := g.do("time", 9, 0x400); errno != wasiInval {
		t.Errorf("clock 9: errno %d", errno)
	}
	if errno := g.do("time", 1, 65529); errno != wasiFault {
		t.Errorf("beyond the memory: errno %d", errno)
	}
}

func word(b []byte) (v uint64) {
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// subscribe writes a subscription to a clock.
func (g wasiGuest) subscribe(i int, user byte, kind byte, clock uint32, timeout uint64, flags byte) {
	b := g.Memory()[0x400+i*subscriptionSize:][:subscriptionSize]
	clear(b)
	b[0], b[8] = user, kind
	copy(b[16:], le(clock))
	copy(b[24:], le(uint32(timeout), uint32(timeout>>32)))
	b[40] = flags
}

func TestWASIPoll(t *testing.T) {
	stop := make(chan struct{})
	g := newWASI(t, engine.WASI{Stop: stop})
	users := func(subs uint64) (out []byte) {
		if errno := g.do("poll", 0x400, 0x800, subs, 0x100); errno != 0 {
			t.Fatalf("errno %d", errno)
		}
		for i := range int(g.Memory()[0x100]) {
			out = append(out, g.Memory()[0x800+i*eventSize])
		}
		return out
	}
	g.subscribe(0, 1, eventClock, clockMonotonic, uint64(time.Millisecond), 0)
	g.subscribe(1, 2, eventClock, clockRealtime, uint64(time.Hour), 0)
	start := time.Now()
	if got := users(2); !bytes.Equal(got, []byte{1}) || time.Since(start) < time.Millisecond {
		t.Errorf("events %v after %v, want the short clock's", got, time.Since(start))
	}
	g.subscribe(2, 3, eventRead, 0, 0, 0)
	if got := users(3); !bytes.Equal(got, []byte{3}) {
		t.Errorf("events %v, want the stream's", got)
	}
	g.subscribe(0, 1, eventClock, clockMonotonic, clockNow(clockMonotonic)+uint64(2*time.Millisecond), clockAbsolute)
	if got := users(1); !bytes.Equal(got, []byte{1}) {
		t.Errorf("events %v, want the absolute clock's", got)
	}
	g.subscribe(0, 7, eventClock, 5, 1, 0)
	if got := users(2); !bytes.Equal(got, []byte{7}) || g.Memory()[0x808] != wasiInval {
		t.Errorf("events %v with errno %d, want an error for an unknown clock", got, g.Memory()[0x808])
	}
	if errno := g.do("poll", 0x400, 0x800, 0, 0x100); errno != wasiInval {
		t.Errorf("no subscription: errno %d", errno)
	}
	if errno := g.do("poll", 0x400, 0x800, 1<<32-1, 0x100); errno != wasiFault {
		t.Errorf("too many subscriptions: errno %d", errno)
	}
	g.subscribe(0, 9, eventClock, clockMonotonic, 1<<64-1, 0)
	time.AfterFunc(5*time.Millisecond, func() { close(stop) })
	if got := users(1); !bytes.Equal(got, []byte{9}) {
		t.Errorf("after Stop events %v", got)
	}
}
