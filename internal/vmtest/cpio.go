package vmtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
)

// archive writes the cpio format that Linux takes as its first root file system ("newc"). Parent folders come by themselves.
type archive struct {
	w    *bufio.Writer
	n    int64
	ino  int
	seen map[string]bool
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), seen: map[string]bool{}}
}

func (a *archive) dir(name string) error { return a.entry(name, modeDir|0o755, 0, nil) }

func (a *archive) bytes(name string, mode uint32, b []byte) error {
	return a.entry(name, modeFile|mode, int64(len(b)), bytes.NewReader(b))
}

func (a *archive) link(name, to string) error {
	return a.entry(name, modeLink|0o777, int64(len(to)), strings.NewReader(to))
}

func (a *archive) entry(name string, mode uint32, size int64, body io.Reader) error {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	if dir := path.Dir(name); dir != "." && !a.seen[dir] {
		if err := a.dir(dir); err != nil {
			return err
		}
	}
	if a.seen[name] {
		if mode&0o170000 == modeDir {
			return nil
		}
		return fmt.Errorf("make the initial RAM disk: /%s is given twice", name)
	}
	a.seen[name] = true
	return a.raw(name, mode, size, body)
}

func (a *archive) raw(name string, mode uint32, size int64, body io.Reader) error {
	if size > 1<<32-1 {
		return fmt.Errorf("make the initial RAM disk: /%s is too large", name)
	}
	a.ino++
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	if err := a.padded(strings.NewReader(head), int64(len(head)), name); err != nil || body == nil {
		return err
	}
	return a.padded(body, size, name)
}

// padded copies size bytes and fills up to a multiple of four.
func (a *archive) padded(r io.Reader, size int64, name string) error {
	n, err := io.Copy(a.w, r)
	a.n += n
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("make the initial RAM disk: /%s changed while it was read", name)
	}
	for ; a.n%4 != 0; a.n++ {
		if err := a.w.WriteByte(0); err != nil {
			return err
		}
	}
	return nil
}

// tree adds a file or a folder with all that is in it as name.
func (a *archive) tree(src, name string) error {
	return filepath.WalkDir(src, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		return a.file(p, path.Join(name, filepath.ToSlash(rel)), p == src)
	})
}

// file adds one file, folder or symbolic link. Devices and sockets are left out.
func (a *archive) file(src, name string, followLink bool) error {
	stat := os.Lstat
	if followLink {
		stat = os.Stat
	}
	info, err := stat(src)
	if err != nil {
		return err
	}
	perm := uint32(info.Mode().Perm())
	switch {
	case info.IsDir():
		return a.entry(name, modeDir|perm, 0, nil)
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(src)
		if err != nil {
			return err
		}
		return a.link(name, to)
	case info.Mode().IsRegular():
		f, err := os.Open(src)
		if err != nil {
			return err
		}
		defer f.Close()
		return a.entry(name, modeFile|perm, info.Size(), f)
	}
	return nil
}

func (a *archive) close() error {
	if err := a.raw("TRAILER!!!", 0, 0, nil); err != nil {
		return err
	}
	return a.w.Flush()
}
