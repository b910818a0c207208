package wazero

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// seven calls the export of the guest "empty" on a new engine.
func seven(dir string, wasm []byte) (*Engine, error) {
	e, err := New(Options{CacheDir: dir})
	if err != nil {
		return nil, err
	}
	m, err := e.Compile(bg, wasm)
	if err != nil {
		return e, err
	}
	in, err := m.Instantiate(bg, engine.InstanceConfig{})
	if err != nil {
		return e, errors.Join(err, m.Close(), e.Close())
	}
	stack := make([]uint64, 1)
	err = in.Call(bg, "seven", fn(0, 1), stack)
	if err == nil && stack[0] != 7 {
		err = fmt.Errorf("seven answers %d", stack[0])
	}
	return e, errors.Join(err, in.Close(), m.Close(), e.Close())
}

func needCompiler(t *testing.T) {
	t.Helper()
	if goruntime.GOARCH != "amd64" && goruntime.GOARCH != "arm64" {
		t.Skip("the interpreter has nothing to keep")
	}
}

func runSeven(t *testing.T, dir string) *Engine {
	t.Helper()
	needCompiler(t)
	e, err := seven(dir, guest(t, "empty"))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// slotOf finds the place of a guest in a cache directory.
func slotOf(t *testing.T, dir, name string) *slot {
	t.Helper()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.slot(guest(t, name))
}

func TestCacheSurvivesTheEngine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "cache")
	e := runSeven(t, dir)
	if err := e.CacheError(); err != nil {
		t.Fatal(err)
	}
	s := slotOf(t, dir, "empty")
	if good, err := s.verify(); !good || err != nil {
		t.Fatalf("after the first run: %v %v", good, err)
	}
	before, err := os.Stat(s.entries()[0])
	if err != nil {
		t.Fatal(err)
	}
	runSeven(t, dir)
	after, err := os.Stat(s.entries()[0])
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the second run has written the entry again")
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", st.Mode(), err)
	}
}

func TestCacheEveryFlippedByteIsNoticed(t *testing.T) {
	dir := t.TempDir()
	runSeven(t, dir)
	s := slotOf(t, dir, "empty")
	entry := s.entries()[0]
	for _, path := range []string{entry, entry + ".sum"} {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := os.ReadFile(entry + ".sum")
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(entry)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			bad := bytes.Clone(whole)
			bad[i] ^= 1 << (i % 8)
			write(t, entry, content)
			write(t, entry+".sum", sum)
			write(t, path, bad)
			if good, err := s.verify(); good || err != nil {
				t.Fatalf("byte %d of %s flipped: %v %v", i, filepath.Base(path), good, err)
			}
			if len(s.entries()) != 0 {
				t.Fatalf("byte %d of %s flipped: the entry is still there", i, filepath.Base(path))
			}
		}
		write(t, entry, content)
		write(t, entry+".sum", sum)
	}
	if good, err := s.verify(); !good || err != nil {
		t.Errorf("the whole entry: %v %v", good, err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCacheDamagedEntryIsCompiledAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, entry string)
	}{
		{"cut short", func(t *testing.T, entry string) { must(t, os.Truncate(entry, 40)) }},
		{"empty", func(t *testing.T, entry string) { must(t, os.Truncate(entry, 0)) }},
		{"no sum", func(t *testing.T, entry string) { must(t, os.Remove(entry+".sum")) }},
		{"longer", func(t *testing.T, entry string) {
			b, err := os.ReadFile(entry)
			must(t, err)
			write(t, entry, append(b, 0))
		}},
		{"code changed", func(t *testing.T, entry string) {
			b, err := os.ReadFile(entry)
			must(t, err)
			for i := range b[30:] {
				b[30+i] ^= 0xff
			}
			write(t, entry, b)
		}},
		{"a directory", func(t *testing.T, entry string) {
			must(t, os.Remove(entry))
			must(t, os.Mkdir(entry, 0o700))
		}},
		{"a link", func(t *testing.T, entry string) {
			must(t, os.Rename(entry, entry+".x"))
			must(t, os.Symlink(entry+".x", entry))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			runSeven(t, dir)
			s := slotOf(t, dir, "empty")
			c.damage(t, s.entries()[0])
			runSeven(t, dir)
			if good, err := s.verify(); !good || err != nil {
				t.Errorf("afterwards: %v %v", good, err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCacheForeignEntry puts another module's entry, with its check sum, in place.
func TestCacheForeignEntry(t *testing.T) {
	dir := t.TempDir()
	runSeven(t, dir)
	e := openEngine(t, Options{CacheDir: dir})
	compileOn(t, e, guest(t, "instances"))
	mine, other := slotOf(t, dir, "empty"), slotOf(t, dir, "instances")
	for _, suffix := range []string{"", ".sum"} {
		b, err := os.ReadFile(other.entries()[0] + suffix)
		must(t, err)
		write(t, mine.entries()[0]+suffix, b)
	}
	runSeven(t, dir)
}

func TestCacheDirectoryOfOthersIsNotUsed(t *testing.T) {
	for _, c := range []struct {
		name, want string
		prepare    func(t *testing.T, top string) string
	}{
		{"writable by all", "others may write", func(t *testing.T, top string) string {
			dir := filepath.Join(top, "c")
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(dir, 0o777))
			return dir
		}},
		{"parent writable by all", "others may replace", func(t *testing.T, top string) string {
			must(t, os.Chmod(top, 0o777))
			dir := filepath.Join(top, "c")
			must(t, os.Mkdir(dir, 0o700))
			return dir
		}},
		{"of another user", "belongs to user", func(t *testing.T, top string) string {
			dir := filepath.Join(top, "c")
			must(t, os.Mkdir(dir, 0o700))
			if err := os.Chown(dir, 12345, -1); errors.Is(err, os.ErrPermission) {
				t.Skip("only root can give a directory away")
			} else {
				must(t, err)
			}
			return dir
		}},
		{"a file", "not a directory", func(t *testing.T, top string) string {
			path := filepath.Join(top, "c")
			write(t, path, nil)
			return path
		}},
		{"below a file", "not a directory", func(t *testing.T, top string) string {
			path := filepath.Join(top, "c")
			write(t, path, nil)
			return filepath.Join(path, "d")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.prepare(t, t.TempDir())
			e := runSeven(t, dir)
			if err := e.CacheError(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
				t.Errorf("it is used all the same: %v", files)
			}
		})
	}
}

// childDir tells a copy of the test binary to run a guest with that cache.
const childDir = "WAZERO_TEST_CHILD_DIR"

// childFull makes the copy put a full file system there first.
const childFull = "WAZERO_TEST_CHILD_FULL"

func child(dir string) int {
	if os.Getenv(childFull) != "" {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k,mode=0700"); err != nil {
			fmt.Println("mount:", err)
			return 77
		}
		if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 4096), 0o600); err != nil {
			fmt.Println("filler:", err)
			return 1
		}
	}
	wasm, err := os.ReadFile("../../../wasi-ebpf/conformance/guests/empty.wasm")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for range 5 {
		e, err := seven(dir, wasm)
		if err != nil || e.CacheError() != nil {
			fmt.Println(err, e.CacheError())
			return 1
		}
	}
	return 0
}

func childCommand(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	return cmd
}

func TestCacheSharedByProcesses(t *testing.T) {
	needCompiler(t)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		cmd := childCommand(t, dir)
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if tmp, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*", ".sum-*")); len(tmp) > 0 {
		t.Errorf("left over: %v", tmp)
	}
	runSeven(t, dir)
	if good, err := slotOf(t, dir, "empty").verify(); !good || err != nil {
		t.Errorf("afterwards: %v %v", good, err)
	}
}

// TestCacheOnAFullDisk runs in a mount namespace of its own, which ends with it.
func TestCacheOnAFullDisk(t *testing.T) {
	needCompiler(t)
	cmd := childCommand(t, t.TempDir(), childFull+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case errors.Is(err, os.ErrPermission), exit != nil && exit.ExitCode() == 77:
		t.Skipf("no rights to mount: %v %s", err, out)
	case err != nil:
		t.Errorf("%v: %s", err, out)
	}
}
