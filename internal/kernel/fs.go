package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// FS is an open root directory of a file system of the kernel. It is either one that is mounted already, or a detached mount that
// no other process sees and that is gone with Close.
type FS struct {
	dir   *os.File
	name  string
	point string
}

// Tracefs opens the file system of trace events. Detached needs CAP_SYS_ADMIN and Linux 5.2. The caller closes it.
// The error matches [ErrUnsupported] or [ErrPermission].
func Tracefs() (*FS, error) { return openFS("tracefs", unix.TRACEFS_MAGIC) }

// Cgroup2 opens the root of the cgroup v2 hierarchy as this process sees it. Detached needs CAP_SYS_ADMIN and Linux 5.2. The
// caller closes it. The error matches [ErrUnsupported] or [ErrPermission].
func Cgroup2() (*FS, error) { return openFS("cgroup2", unix.CGROUP2_SUPER_MAGIC) }

// Securityfs opens the file system of the security modules. Detached needs CAP_SYS_ADMIN and Linux 5.2. The caller closes it.
// The error matches [ErrUnsupported] or [ErrPermission].
func Securityfs() (*FS, error) { return openFS("securityfs", unix.SECURITYFS_MAGIC) }

// openFS takes a mount that is there, because it needs no privilege, else makes a detached one.
func openFS(name string, magic int64) (*FS, error) {
	mounts, _ := Mounts() // without /proc there is still the detached mount
	var closed error
	for _, whole := range []bool{true, false} {
		for _, m := range mounts {
			if m.Type != name || (m.Root == "/") != whole {
				continue
			}
			// A later mount may hide this one, so ask what is really there.
			f, err := openDir(m.Point, magic)
			if err == nil {
				return &FS{dir: f, name: name, point: m.Point}, nil
			}
			if errors.Is(err, os.ErrPermission) {
				closed = err
			}
		}
	}
	if fs, ok := keptFS(name); ok {
		return fs, nil
	}
	fs, err := detached(name)
	if closed != nil && errors.Is(err, ErrPermission) {
		need := CapDACReadSearch.String() + ", or root's user, or the right to read that directory"
		return nil, &Denied{What: "read " + name, Capability: need, Cause: closed}
	}
	return fs, err
}

func openDir(p string, magic int64) (*os.File, error) {
	f, err := os.OpenFile(p, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := isFS(f, magic); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func isFS(f *os.File, magic int64) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "statfs", Path: f.Name(), Err: err}
	}
	if int64(uint32(st.Type)) != magic {
		return &os.PathError{Op: "open", Path: f.Name(), Err: unix.ENODEV}
	}
	return nil
}

// detached makes a mount that hangs nowhere.
func detached(name string) (*FS, error) {
	what := "open " + name + " without a mount"
	ctx, err := unix.Fsopen(name, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, detachedError(what, name, err)
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		return nil, detachedError(what, name, err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, detachedError(what, name, err)
	}
	return &FS{dir: os.NewFile(uintptr(fd), name), name: name}, nil
}

func detachedError(what, name string, err error) error {
	at := map[string]string{"tracefs": "/sys/kernel/tracing", "cgroup2": "/sys/fs/cgroup", "securityfs": "/sys/kernel/security"}[name]
	mount := fmt.Sprintf("mount it: mount -t %s none %s", name, at)
	switch {
	case errors.Is(err, unix.ENODEV):
		return &Missing{Feature: name, Need: "a kernel built with it", Cause: err}
	case errors.Is(err, unix.ENOSYS):
		return &Missing{Feature: what, Need: "Linux 5.2, or " + mount, Cause: err}
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &Denied{What: what, Capability: "CAP_SYS_ADMIN, or " + mount, Cause: err}
	}
	return fmt.Errorf("%s: %w; %s", what, err, mount)
}

// Mounted is where the file system was found, empty for a detached mount.
func (f *FS) Mounted() string { return f.point }

// Close gives the directory back, and with it a detached mount.
func (f *FS) Close() error {
	if err := f.dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close %s: %w", f.name, err)
	}
	return nil
}

// Open opens a path below the root for reading. A path that would lead out of the file system is refused with [os.ErrInvalid].
func (f *FS) Open(name string) (*os.File, error) { return f.open(name, unix.O_RDONLY) }

// OpenDir opens a directory below the root; "." is the root itself.
func (f *FS) OpenDir(name string) (*os.File, error) {
	return f.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
}

// ReadFile reads a small file below the root.
func (f *FS) ReadFile(name string) ([]byte, error) {
	r, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: f.join(name), Err: err}
	}
	return b, nil
}

// ReadDir lists the names in a directory below the root, unsorted.
func (f *FS) ReadDir(name string) ([]string, error) {
	d, err := f.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func (f *FS) open(name string, flags int) (*os.File, error) {
	shown := f.join(name)
	if !local(name) {
		return nil, &os.PathError{Op: "open", Path: shown, Err: os.ErrInvalid}
	}
	// These file systems hold no links, so a path without ".." stays inside.
	fd, err := unix.Openat(int(f.dir.Fd()), name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: shown, Err: err}
	}
	return os.NewFile(uintptr(fd), shown), nil
}

func (f *FS) join(name string) string {
	if f.point == "" {
		return f.name + ":" + name
	}
	return path.Join(f.point, name)
}

// local reports whether a relative path stays below where it starts.
func local(name string) bool {
	if name == "" || strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return false
		}
	}
	return true
}
