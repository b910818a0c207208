package wazero

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	wzsys "github.com/tetratelabs/wazero/experimental/sys"
	"golang.org/x/sys/unix"
)

// rootAt opens a directory "in" beside a directory "out" that nobody may reach.
func rootAt(t *testing.T, write bool) (r *rootFS, in, out string) {
	t.Helper()
	top := t.TempDir()
	in, out = filepath.Join(top, "in"), filepath.Join(top, "out")
	must(t, os.MkdirAll(filepath.Join(in, "sub"), 0o755))
	must(t, os.Mkdir(out, 0o755))
	write1 := func(path, text string) { must(t, os.WriteFile(path, []byte(text), 0o644)) }
	write1(filepath.Join(in, "file"), "content")
	write1(filepath.Join(out, "secret"), "secret")
	must(t, os.Symlink("../out", filepath.Join(in, "rel")))
	must(t, os.Symlink(out, filepath.Join(in, "abs")))
	must(t, os.Symlink("rel/../out", filepath.Join(in, "chain")))
	must(t, os.Symlink("file", filepath.Join(in, "good")))
	root, err := os.OpenRoot(in)
	must(t, err)
	r = &rootFS{root: root, write: write, open: map[*rootFile]struct{}{}, most: 10}
	t.Cleanup(func() { must(t, r.close()) })
	return r, in, out
}

// TestEscape calls the file system as WASI does after its own cleaning of
// paths, and in ways that this cleaning should not let through.
func TestEscape(t *testing.T) {
	r, _, out := rootAt(t, true)
	for _, name := range []string{
		"..", "../out/secret", "sub/../../out/secret", "rel/secret", "abs/secret", "chain/secret", "rel", "abs", "rel/", "abs/",
		"sub/../rel/secret", "./rel/./secret", "//../out/secret", "rel/../in/../out/secret", out + "/secret", "/" + out + "/secret",
		"sub/../../../../../../../../etc/passwd",
	} {
		if f, e := r.OpenFile(name, wzsys.O_RDONLY, 0); e == 0 {
			t.Errorf("open %s succeeds", name)
			f.Close()
		}
		if f, e := r.OpenFile(name, wzsys.O_RDWR|wzsys.O_CREAT, 0o600); e == 0 {
			// a path that is absolute on the host means one inside for the guest
			if dev, _ := f.Ino(); strings.Contains(name, "..") || dev == 0 {
				t.Errorf("open %s for writing succeeds", name)
			}
			f.Close()
		}
		if _, e := r.Stat(name); e == 0 && !strings.HasPrefix(name, "/") {
			t.Errorf("stat %s succeeds", name)
		}
		if strings.HasSuffix(name, "secret") {
			for op, e := range map[string]wzsys.Errno{
				"unlink": r.Unlink(name), "rename": r.Rename(name, "x"), "link": r.Link(name, "x"), "chmod": r.Chmod(name, 0o777),
				"utimens": r.Utimens(name, 0, 0), "rename to": r.Rename("file", name+"2"), "link to": r.Link("file", name+"2"),
				"symlink at": r.Symlink("file", name+"2"), "mkdir": r.Mkdir(name+"3", 0o755), "rmdir": r.Rmdir(name),
			} {
				if e == 0 {
					t.Errorf("%s %s succeeds", op, name)
				}
			}
		}
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside: %v %v", entries, err)
	}
	if b, err := os.ReadFile(filepath.Join(out, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("outside: %q %v", b, err)
	}
	if e := r.Symlink("/etc", "etc"); e != wzsys.EPERM {
		t.Errorf("an absolute link: %v", e)
	}
	if f, e := r.OpenFile("good", wzsys.O_RDONLY, 0); e != 0 {
		t.Errorf("a good link: %v", e)
	} else {
		f.Close()
	}
	if _, e := r.OpenFile("good", wzsys.O_RDONLY|wzsys.O_NOFOLLOW, 0); e != wzsys.ELOOP {
		t.Errorf("a link that is not to be followed: %v", e)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	r, in, _ := rootAt(t, false)
	for _, flag := range []wzsys.Oflag{wzsys.O_WRONLY, wzsys.O_RDWR, wzsys.O_CREAT, wzsys.O_TRUNC, wzsys.O_APPEND, wzsys.O_CREAT | wzsys.O_EXCL} {
		if _, e := r.OpenFile("file", flag, 0o600); e != wzsys.EROFS {
			t.Errorf("open with %#x: %v", flag, e)
		}
	}
	for op, e := range map[string]wzsys.Errno{
		"unlink": r.Unlink("file"), "rename": r.Rename("file", "x"), "link": r.Link("file", "x"), "chmod": r.Chmod("file", 0o777),
		"utimens": r.Utimens("file", 0, 0), "symlink": r.Symlink("file", "x"), "mkdir": r.Mkdir("x", 0o755), "rmdir": r.Rmdir("sub"),
	} {
		if e != wzsys.EROFS {
			t.Errorf("%s: %v", op, e)
		}
	}
	f, e := r.OpenFile("file", wzsys.O_RDONLY, 0)
	if e != 0 {
		t.Fatal(e)
	}
	defer f.Close()
	_, we := f.Write([]byte("x"))
	_, pe := f.Pwrite([]byte("x"), 0)
	for op, e := range map[string]wzsys.Errno{"write": we, "pwrite": pe, "truncate": f.Truncate(0), "utimens": f.Utimens(0, 0)} {
		if e == 0 {
			t.Errorf("%s on an open file succeeds", op)
		}
	}
	if b, err := os.ReadFile(filepath.Join(in, "file")); err != nil || string(b) != "content" {
		t.Errorf("it holds %q, %v", b, err)
	}
}

func TestFileOperations(t *testing.T) {
	r, in, _ := rootAt(t, true)
	f, e := r.OpenFile("new", wzsys.O_RDWR|wzsys.O_CREAT|wzsys.O_EXCL, 0o600)
	if e != 0 {
		t.Fatal(e)
	}
	buf := make([]byte, 16)
	check := func(what string, got, want any, e wzsys.Errno) {
		t.Helper()
		if e != 0 || got != want {
			t.Errorf("%s: got %v %v, want %v", what, got, e, want)
		}
	}
	n, e := f.Write([]byte("hello world"))
	check("write", n, 11, e)
	n, e = f.Pwrite([]byte("W"), 6)
	check("pwrite", n, 1, e)
	pos, e := f.Seek(-5, io.SeekEnd)
	check("seek", pos, int64(6), e)
	n, e = f.Read(buf)
	check("read", string(buf[:n]), "World", e)
	n, e = f.Read(buf)
	check("read at the end", n, 0, e)
	n, e = f.Pread(buf[:5], 0)
	check("pread", string(buf[:n]), "hello", e)
	check("truncate", true, true, f.Truncate(5))
	check("append", true, true, f.SetAppend(true))
	n, e = f.Write([]byte("!"))
	check("write at the end", n, 1, e)
	check("utimens", true, true, f.Utimens(wzsys.UTIME_OMIT, int64(3*time.Second)))
	check("sync", true, true, f.Sync())
	check("datasync", true, true, f.Datasync())
	st, e := f.Stat()
	check("size", st.Size, int64(6), e)
	check("mtime", st.Mtim, int64(3*time.Second), e)
	check("mode", st.Mode, fs.FileMode(0o600), e)
	ino, e := f.Ino()
	check("inode", ino, st.Ino, e)
	byName, e := r.Stat("new")
	check("stat by name", byName.Ino, st.Ino, e)
	check("close", true, true, f.Close())
	if _, e := f.Read(buf); e != wzsys.EBADF {
		t.Errorf("read after close: %v", e)
	}
	check("rename", true, true, r.Rename("new", "sub/old"))
	check("mkdir", true, true, r.Mkdir("dir/", 0o755))
	check("chmod", true, true, r.Chmod("dir", 0o700))
	check("times", true, true, r.Utimens("dir", int64(time.Second), wzsys.UTIME_OMIT))
	check("link", true, true, r.Link("sub/old", "hard"))
	check("symlink", true, true, r.Symlink("../file", "sub/soft"))
	to, e := r.Readlink("sub/soft")
	check("readlink", to, "../file", e)
	for what, c := range map[string]struct{ got, want wzsys.Errno }{
		"unlink a directory":      {r.Unlink("sub"), wzsys.EISDIR},
		"rmdir a file":            {r.Rmdir("file"), wzsys.ENOTDIR},
		"rmdir a full directory":  {r.Rmdir("sub"), wzsys.ENOTEMPTY},
		"mkdir that is there":     {r.Mkdir("dir", 0o755), wzsys.EEXIST},
		"unlink what is not here": {r.Unlink("nothing"), wzsys.ENOENT},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", what, c.got, c.want)
		}
	}
	check("rmdir", true, true, r.Rmdir("dir/"))
	d, e := r.OpenFile(".", wzsys.O_DIRECTORY, 0)
	if e != 0 {
		t.Fatal(e)
	}
	for range 2 {
		list, e := d.Readdir(-1)
		var names []string
		for _, entry := range list {
			names = append(names, entry.Name)
		}
		slices.Sort(names)
		check("readdir", strings.Join(names, " "), "abs chain file good hard rel sub", e)
		_, e = d.Seek(0, io.SeekStart)
		check("rewind", true, true, e)
	}
	if _, e := d.Read(buf); e != wzsys.EISDIR {
		t.Errorf("read a directory: %v", e)
	}
	check("close", true, true, d.Close())
	if b, err := os.ReadFile(filepath.Join(in, "hard")); err != nil || string(b) != "hello!" {
		t.Errorf("on the host: %q %v", b, err)
	}
}

// TestPipesDoNotBlock opens and reads pipes whose other side is nobody.
func TestPipesDoNotBlock(t *testing.T) {
	r, in, _ := rootAt(t, true)
	must(t, unix.Mkfifo(filepath.Join(in, "pipe"), 0o600))
	f, e := r.OpenFile("pipe", wzsys.O_RDWR, 0)
	if e != 0 {
		t.Fatal(e)
	}
	if n, e := f.Read(make([]byte, 1)); n != 0 || e != wzsys.EAGAIN {
		t.Errorf("read: %d %v", n, e)
	}
	f.Close()
	if f, e = r.OpenFile("pipe", wzsys.O_RDONLY, 0); e != 0 {
		t.Fatal(e)
	}
	f.Close()
	if _, e := r.OpenFile("pipe", wzsys.O_WRONLY, 0); e == 0 {
		t.Error("a pipe without a reader opens for writing")
	}
}

func TestOpenFilesAreLimitedAndClosed(t *testing.T) {
	before := descriptors()
	r, _, _ := rootAt(t, false)
	for range 10 {
		if _, e := r.OpenFile("file", wzsys.O_RDONLY, 0); e != 0 {
			t.Fatal(e)
		}
	}
	if _, e := r.OpenFile("file", wzsys.O_RDONLY, 0); e != wzsys.EIO {
		t.Errorf("one more: %v", e)
	}
	must(t, r.close())
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
