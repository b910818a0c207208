package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/policy"
)

// FileKind says what a descriptor of the host is, that a guest has a handle of.
type FileKind string

// The kinds.
const (
	Socket  FileKind = "socket"
	Process FileKind = "process"
	Cgroup  FileKind = "cgroup"
	Path    FileKind = "file"
)

// file is a descriptor that stands for a thing in keys and values of maps, and can be neither read nor written by the guest.
type file struct {
	*os.File
	kind FileKind
}

func (s *Session) openFile(kind FileKind, open func() (*os.File, error)) (int32, error) {
	return s.opened(cost{files: 1}, func() (any, func() error, error) {
		f, err := open()
		if err != nil {
			return nil, nil, err
		}
		return &file{f, kind}, f.Close, nil
	})
}

// File finds a descriptor of one kind.
func (s *Session) File(handle int32, kind FileKind) (*os.File, error) {
	f, err := get[*file](s, handle, string(kind))
	if err != nil {
		return nil, err
	}
	if f.kind != kind {
		return nil, noHandle(handle, string(kind))
	}
	return f.File, nil
}

// OpenSocket takes a socket of a process. Requires at least Linux 5.6.
func (s *Session) OpenSocket(pid, fd int32) (int32, error) {
	if err := s.May(policy.Action{Kind: policy.SocketOf}); err != nil {
		return 0, err
	}
	return s.openFile(Socket, func() (*os.File, error) { return bpf.SocketOf(int(pid), int(fd)) })
}

// OpenProcess opens a process. Requires at least Linux 5.3.
func (s *Session) OpenProcess(pid int32) (int32, error) {
	if pid <= 0 {
		return 0, fmt.Errorf("open process: %w: %d is no process id", ErrArgument, pid)
	}
	if err := s.May(policy.Action{Kind: policy.Process}); err != nil {
		return 0, err
	}
	return s.openFile(Process, func() (*os.File, error) {
		fd, err := unix.PidfdOpen(int(pid), 0)
		if err != nil {
			return nil, fmt.Errorf("open process %d: %w", pid, err)
		}
		return os.NewFile(uintptr(fd), "pidfd"), nil
	})
}

// OpenCgroup opens a control group by path or local name.
func (s *Session) OpenCgroup(path string) (int32, error) {
	if err := s.May(policy.Action{Kind: policy.CgroupID}); err != nil {
		return 0, err
	}
	return s.openFile(Cgroup, func() (*os.File, error) {
		f, err := kernel.OpenCgroup(s.name(path))
		if err != nil {
			err = fmt.Errorf("open cgroup %s: %w", path, err)
			if errors.Is(err, os.ErrNotExist) {
				err = s.hintAtName(err, s.name(path))
			}
			return nil, err
		}
		return f, nil
	})
}

// OpenFile opens a file or directory for its identity alone.
func (s *Session) OpenFile(path string) (int32, error) {
	real := s.name(path)
	var err error = unix.ENOENT // neither an absolute path nor a local name
	if filepath.IsAbs(real) {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return 0, fmt.Errorf("open file %s: %w", path, err)
	}
	if err := s.May(policy.Action{Kind: policy.File, Name: real}); err != nil {
		return 0, err
	}
	return s.openFile(Path, func() (*os.File, error) {
		fd, err := openPlain(real)
		if err != nil {
			return nil, fmt.Errorf("open file %s: %w", path, err)
		}
		return os.NewFile(uintptr(fd), path), nil
	})
}

// openPlain opens a regular file or a directory. Opening anything else does something: it arms a watchdog, makes a terminal, lets the
// other end of a pipe go on. So what is there is looked at first, through a descriptor that only names it and that is not taken as a key.
func openPlain(path string) (int, error) {
	place, err := unix.Open(path, unix.O_NOFOLLOW|unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(place)
	var st unix.Stat_t
	if err := unix.Fstat(place, &st); err != nil {
		return -1, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return unix.Open(fmt.Sprintf("/proc/self/fd/%d", place), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	}
	return -1, fmt.Errorf("%w: it is neither a regular file nor a directory", ErrKind)
}

// isMissing reports whether a look-up found no such key.
func isMissing(err error) bool { return errors.Is(err, ebpf.ErrKeyNotExist) }
