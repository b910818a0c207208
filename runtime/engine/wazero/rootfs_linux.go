package wazero

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	wzsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"
)

// rootFS is a preopened directory. Every path is resolved by [os.Root], which
// follows symbolic links only while they stay inside, safe against renames at
// the same time. wazero's own directory file system follows them anywhere.
type rootFS struct {
	wzsys.UnimplementedFS
	root  *os.Root
	write bool
	open  map[*rootFile]struct{} // of all directories of the instance
	most  int                    // files that may be open
}

var _ wzsys.FS = (*rootFS)(nil)

// close closes the files too: wazero forgets them if the start function fails.
func (r *rootFS) close() error {
	for f := range r.open {
		f.Close()
	}
	return r.root.Close()
}

// clean gives the form that os.Root takes. Paths of guests are relative. Slashes at
// the end go, because os.Root of Go 1.26.0 followed a symbolic link with one to
// anywhere; who needs a directory asks wantsDir.
func clean(name string) string {
	name = strings.Trim(name, "/")
	if name == "" {
		return "."
	}
	return name
}

// wantsDir tells whether a path can only mean a directory.
func wantsDir(name string) bool { return strings.HasSuffix(name, "/") }

// errno translates errors of os.Root. A path that escapes is EPERM.
func errno(err error) wzsys.Errno {
	if err == nil {
		return 0
	}
	if _, ok := errors.AsType[unix.Errno](err); !ok && !errors.Is(err, fs.ErrClosed) && !errors.Is(err, fs.ErrInvalid) {
		return wzsys.EPERM
	}
	if errors.Is(err, unix.ENOTEMPTY) {
		return wzsys.ENOTEMPTY
	}
	return wzsys.UnwrapOSError(err)
}

// change guards everything that alters the directory.
func (r *rootFS) change(do func() error) wzsys.Errno {
	if !r.write {
		return wzsys.EROFS
	}
	return errno(do())
}

// OpenFile opens regular files and directories. It never blocks: a pipe or a
// device is opened without waiting for its other side.
func (r *rootFS) OpenFile(name string, flag wzsys.Oflag, perm fs.FileMode) (wzsys.File, wzsys.Errno) {
	const alters = wzsys.O_RDWR | wzsys.O_WRONLY | wzsys.O_CREAT | wzsys.O_TRUNC | wzsys.O_APPEND
	if !r.write && flag&alters != 0 {
		return nil, wzsys.EROFS
	}
	if len(r.open) >= r.most {
		return nil, wzsys.EIO
	}
	how := unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY
	switch {
	case flag&wzsys.O_RDWR != 0:
		how |= unix.O_RDWR
	case flag&wzsys.O_WRONLY != 0:
		how |= unix.O_WRONLY
	}
	for _, f := range [...]struct {
		guest wzsys.Oflag
		host  int
	}{
		{wzsys.O_APPEND, unix.O_APPEND}, {wzsys.O_CREAT, unix.O_CREAT}, {wzsys.O_DIRECTORY, unix.O_DIRECTORY},
		{wzsys.O_DSYNC, unix.O_DSYNC}, {wzsys.O_EXCL, unix.O_EXCL}, {wzsys.O_SYNC, unix.O_SYNC},
		{wzsys.O_RSYNC, unix.O_RSYNC}, {wzsys.O_TRUNC, unix.O_TRUNC},
	} {
		if flag&f.guest != 0 {
			how |= f.host
		}
	}
	if wantsDir(name) {
		how |= unix.O_DIRECTORY
	}
	name = clean(name)
	if flag&wzsys.O_NOFOLLOW != 0 { // os.Root takes the flag but follows
		if st, err := r.root.Lstat(name); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return nil, wzsys.ELOOP
		}
	}
	f, err := r.root.OpenFile(name, how, perm.Perm())
	if err != nil {
		return nil, errno(err)
	}
	return newRootFile(r, f, flag)
}

// Stat follows symbolic links inside the directory.
func (r *rootFS) Stat(name string) (sys.Stat_t, wzsys.Errno) {
	st, err := r.root.Stat(clean(name))
	switch {
	case err != nil:
		return sys.Stat_t{}, errno(err)
	case wantsDir(name) && !st.IsDir():
		return sys.Stat_t{}, wzsys.ENOTDIR
	}
	return sys.NewStat_t(st), 0
}

// Lstat does not follow a symbolic link at the end.
func (r *rootFS) Lstat(name string) (sys.Stat_t, wzsys.Errno) {
	if wantsDir(name) {
		return r.Stat(name)
	}
	st, err := r.root.Lstat(clean(name))
	if err != nil {
		return sys.Stat_t{}, errno(err)
	}
	return sys.NewStat_t(st), 0
}

// Readlink gives the text of a symbolic link, wherever it points.
func (r *rootFS) Readlink(name string) (string, wzsys.Errno) {
	to, err := r.root.Readlink(clean(name))
	return to, errno(err)
}

// Mkdir makes a directory.
func (r *rootFS) Mkdir(name string, perm fs.FileMode) wzsys.Errno {
	return r.change(func() error { return r.root.Mkdir(clean(name), perm.Perm()) })
}

// Chmod changes permission bits; a guest cannot set others.
func (r *rootFS) Chmod(name string, perm fs.FileMode) wzsys.Errno {
	return r.change(func() error { return r.root.Chmod(clean(name), perm.Perm()) })
}

// Rename moves inside this directory.
func (r *rootFS) Rename(from, to string) wzsys.Errno {
	return r.change(func() error { return r.root.Rename(clean(from), clean(to)) })
}

// Rmdir removes an empty directory.
func (r *rootFS) Rmdir(name string) wzsys.Errno {
	return r.remove(name, true)
}

// Unlink removes what is no directory.
func (r *rootFS) Unlink(name string) wzsys.Errno {
	return r.remove(name, false)
}

func (r *rootFS) remove(name string, dir bool) wzsys.Errno {
	return r.change(func() error {
		name := clean(name)
		st, err := r.root.Lstat(name)
		switch {
		case err != nil:
			return err
		case dir && !st.IsDir():
			return unix.ENOTDIR
		case !dir && st.IsDir():
			return unix.EISDIR
		}
		return r.root.Remove(name)
	})
}

// Link makes a hard link inside this directory.
func (r *rootFS) Link(from, to string) wzsys.Errno {
	return r.change(func() error { return r.root.Link(clean(from), clean(to)) })
}

// Symlink refuses absolute targets, as WASI says.
func (r *rootFS) Symlink(target, name string) wzsys.Errno {
	return r.change(func() error {
		if path.IsAbs(target) {
			return unix.EPERM
		}
		return r.root.Symlink(target, clean(name))
	})
}

// Utimens sets times in nanoseconds since the epoch.
func (r *rootFS) Utimens(name string, atim, mtim int64) wzsys.Errno {
	return r.change(func() error { return r.root.Chtimes(clean(name), timeOf(atim), timeOf(mtim)) })
}

// timeOf gives the zero time, which os takes as "leave it", for UTIME_OMIT.
func timeOf(ns int64) time.Time {
	if ns == wzsys.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
