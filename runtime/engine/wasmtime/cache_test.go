//go:build wasmtime && cgo

package wasmtime

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

const answerWat = `(module (func (export "answer") (result i32) (i32.const 42)))`

// answer compiles with a cache and runs the code.
func answer(t *testing.T, dir string) (*Engine, uint32) {
	t.Helper()
	e := newEngine(t, Options{CacheDir: dir})
	in, err := compileWat(t, e, answerWat).Instantiate(context.Background(), engine.InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	return e, call1(t, in, "answer")
}

func entry(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("the cache holds %v, %v; want one entry", names, err)
	}
	return names[0]
}

func inode(t *testing.T, file string) uint64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestCacheServesWholeEntries(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "cache")
	if e, got := answer(t, dir); got != 42 || e.CacheError() != nil {
		t.Fatalf("%d, %v", got, e.CacheError())
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has %v, %v; want mode 0700", info.Mode(), err)
	}
	file := entry(t, dir)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the entry has %v, %v; want mode 0600", info.Mode(), err)
	}
	first := inode(t, file)
	if _, got := answer(t, dir); got != 42 || inode(t, file) != first {
		t.Errorf("%d; the entry was written again", got)
	}
}

// A damaged entry is compiled again, wherever the damage is.
func TestCacheRefusesDamage(t *testing.T) {
	dir := t.TempDir()
	answer(t, dir)
	file := entry(t, dir)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key := cacheKey(binaryOf(t, answerWat))
	if checkEntry(whole, key) == nil {
		t.Fatal("the whole entry is refused")
	}
	for n := range whole {
		whole[n] ^= 1 << (n % 8)
		if checkEntry(whole, key) != nil {
			t.Fatalf("an entry with byte %d damaged passes", n)
		}
		whole[n] ^= 1 << (n % 8)
	}
	other := key
	other[0]++
	if checkEntry(whole, other) != nil {
		t.Error("an entry of another module passes")
	}
	damaged := map[string][]byte{
		"empty": {}, "short": whole[:entryHeader-1], "header only": whole[:entryHeader], "cut": whole[:len(whole)-1],
		"longer": append(bytes.Clone(whole), 0), "zeros": make([]byte, len(whole)),
	}
	for _, at := range []int{0, len(cacheMagic), len(cacheMagic) + keySize, entryHeader - 1, entryHeader, len(whole) / 2, len(whole) - 1} {
		b := bytes.Clone(whole)
		b[at] ^= 0x80
		damaged["byte "+string(rune('a'+len(damaged)))] = b
	}
	// Whole as an entry, but what it holds is no code of this engine.
	damaged["foreign"] = append(makeHeader(key, []byte("foreign")), "foreign"...)
	for name, b := range damaged {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if e, got := answer(t, dir); got != 42 || e.CacheError() != nil {
			t.Errorf("%s: %d, %v", name, got, e.CacheError())
		}
		if now, err := os.ReadFile(file); err != nil || checkEntry(now, key) == nil {
			t.Errorf("%s: the entry was not replaced: %v", name, err)
		}
	}
}

func TestCacheIgnoresWhatIsNoFileOfOurs(t *testing.T) {
	dir := t.TempDir()
	answer(t, dir)
	file := entry(t, dir)
	for name, put := range map[string]func() error{
		"a fifo":            func() error { return syscall.Mkfifo(file, 0o600) },
		"a link outside":    func() error { return os.Symlink("/dev/zero", file) },
		"writable for all":  func() error { return errorsOf(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o666)) },
		"a directory there": func() error { return os.Mkdir(file, 0o700) },
	} {
		if err := errorsOf(os.RemoveAll(file), put()); err != nil {
			t.Fatal(err)
		}
		if _, got := answer(t, dir); got != 42 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*new*")); len(names) > 0 {
		t.Errorf("left over: %v", names)
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestCacheDirectoriesThatAreNotTrusted(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{open: "others may write to it", file: "not a directory"}
	if os.Geteuid() == 0 {
		foreign := t.TempDir()
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		cases[foreign] = "belongs to user 12345"
	}
	for dir, want := range cases {
		e, got := answer(t, dir)
		if err := e.CacheError(); got != 42 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v; want %q", dir, got, err, want)
		}
		if names, _ := os.ReadDir(dir); len(names) > 0 {
			t.Errorf("%s: something was written", dir)
		}
	}
}

// A directory that takes no files, as on a full disk, costs the cache only.
func TestCacheThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	e := newEngine(t, Options{CacheDir: dir})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	m := compileWat(t, e, answerWat)
	if err := e.CacheError(); err == nil || !strings.Contains(err.Error(), "write an entry") {
		t.Errorf("got %v, want the reason", err)
	}
	in, err := m.Instantiate(context.Background(), engine.InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got := call1(t, in, "answer"); got != 42 {
		t.Errorf("got %d", got)
	}
}

func TestCacheIsSharedByMany(t *testing.T) {
	dir := t.TempDir()
	wasm := binaryOf(t, answerWat)
	var wg sync.WaitGroup
	for range 4 {
		e := newEngine(t, Options{CacheDir: dir})
		wg.Go(func() {
			for range 10 {
				m, err := e.Compile(context.Background(), wasm)
				if err != nil {
					t.Error(err)
					return
				}
				m.Close()
			}
			if err := e.CacheError(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entry(t, dir)
}
