package bpf

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// SocketOf takes a copy of a descriptor of another process, or of this one, which must be a socket: for [Target.Socket] and for maps of
// sockets. The caller closes it. A process or descriptor that is not there, and one that is no socket, match [ErrTarget]. Requires at
// least Linux 5.6 and the right to trace the process (CAP_SYS_PTRACE, or the same user).
func SocketOf(pid, fd int) (*os.File, error) {
	const what = "take a socket of process %d"
	if pid <= 0 || fd < 0 {
		return nil, badTarget(what+": no descriptor %d of a process", pid, fd)
	}
	process, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ENOSYS):
		return nil, &UnsupportedError{Feature: "sockets of other processes", Need: "Linux 5.6", Cause: err}
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		return nil, badTarget(what+": no such process (give its number, not that of one of its threads): %w", pid, err)
	case err != nil:
		return nil, fmt.Errorf(what+": %w", pid, err)
	}
	defer unix.Close(process)
	n, err := unix.PidfdGetfd(process, fd, 0)
	switch {
	case errors.Is(err, unix.ENOSYS):
		return nil, &UnsupportedError{Feature: "sockets of other processes", Need: "Linux 5.6", Cause: err}
	case errors.Is(err, unix.EBADF):
		return nil, badTarget(what+": it has no descriptor %d: %w", pid, fd, err)
	case errors.Is(err, unix.EPERM):
		return nil, &PermissionError{What: fmt.Sprintf(what, pid), Capability: kernel.CapSysPtrace.String(), Cause: err}
	case err != nil:
		return nil, fmt.Errorf(what+": %w", pid, err)
	}
	f := os.NewFile(uintptr(n), fmt.Sprintf("socket %d of process %d", fd, pid))
	var st unix.Stat_t
	if err := unix.Fstat(n, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, errors.Join(badTarget(what+": its descriptor %d is no socket", pid, fd), err, f.Close())
	}
	return f, nil
}
