package ebpf

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// kinds are the errors that mean one errno, whatever number the kernel gave. The first that matches counts.
var kinds = []struct {
	err   error
	errno abi.Errno
}{
	{session.ErrInterrupted, abi.INTR},
	{context.Canceled, abi.INTR},
	{context.DeadlineExceeded, abi.INTR},
	{policy.ErrDenied, abi.NOTCAPABLE},
	{session.ErrHandle, abi.BADF},
	{session.ErrTooMany, abi.MFILE},
	{session.ErrLoaded, abi.BUSY},
	{session.ErrNotLoaded, abi.INVAL},
	{session.ErrReadOnly, abi.ROFS},
	{session.ErrRoom, abi.NOSPC},
	{session.ErrRange, abi.RANGE},
	{session.ErrExists, abi.EXIST},
	{session.ErrKind, abi.NOTSUP},
	{session.ErrArgument, abi.INVAL},
	{bpf.ErrFormat, abi.NOEXEC},
	{bpf.ErrUnsupported, abi.NOTSUP},
	{kernel.ErrUnsupported, abi.NOTSUP},
	{bpf.ErrPermission, abi.PERM},
	{kernel.ErrPermission, abi.PERM},
	{bpf.ErrVerifier, abi.ACCES},
	{bpf.ErrMapMemory, abi.NOMEM},
	{bpf.ErrNotFound, abi.NOENT},
	{bpf.ErrBusy, abi.BUSY},
	{bpf.ErrSize, abi.INVAL},
	{bpf.ErrType, abi.INVAL},
	{bpf.ErrCursor, abi.INVAL},
	{os.ErrClosed, abi.CANCELED},
	{unix.ENODEV, abi.NODEV},
	{os.ErrExist, abi.EXIST},
}

// numbers are the kernel's error numbers as WASI has them.
var numbers = map[unix.Errno]abi.Errno{
	unix.E2BIG: abi.TOOBIG, unix.EACCES: abi.ACCES, unix.EAGAIN: abi.AGAIN, unix.EBADF: abi.BADF, unix.EBUSY: abi.BUSY,
	unix.ECANCELED: abi.CANCELED, unix.EEXIST: abi.EXIST, unix.EFAULT: abi.FAULT, unix.EINTR: abi.INTR, unix.EINVAL: abi.INVAL,
	unix.ELOOP: abi.LOOP, unix.EMFILE: abi.MFILE, unix.ENFILE: abi.MFILE, unix.EMSGSIZE: abi.MSGSIZE,
	unix.ENAMETOOLONG: abi.NAMETOOLONG, unix.ENOBUFS: abi.NOBUFS, unix.ENODEV: abi.NODEV, unix.ENXIO: abi.NODEV,
	unix.ENOENT: abi.NOENT, unix.ENOLINK: abi.CANCELED, unix.ENOMEM: abi.NOMEM, unix.ENOSPC: abi.NOSPC, unix.ENOSYS: abi.NOTSUP,
	unix.ENOTDIR: abi.NOTDIR, unix.EOPNOTSUPP: abi.NOTSUP, unix.EOVERFLOW: abi.OVERFLOW, unix.EPERM: abi.PERM,
	unix.ERANGE: abi.RANGE, unix.EROFS: abi.ROFS, unix.ESRCH: abi.SRCH, unix.ETIMEDOUT: abi.TIMEDOUT,
	unix.Errno(524): abi.NOTSUP, // ENOTSUPP, which the kernel returns although it is not in the C library's list
}

// Errno is the result of a host function for an error: 0 for nil, IO when nothing better is known.
func Errno(err error) abi.Errno {
	if err == nil {
		return abi.SUCCESS
	}
	if e, ok := err.(*bpf.MapError); ok && e.Errno == unix.ENOENT {
		return abi.NOENT // a missing key is as common as one that is there
	}
	var f *fault
	if errors.As(err, &f) {
		return f.errno
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.errno
		}
	}
	var no unix.Errno
	switch {
	case errors.As(err, &no):
		if e, ok := numbers[no]; ok {
			return e
		}
		return abi.IO
	case errors.Is(err, bpf.ErrTarget):
		if errors.Is(err, fs.ErrNotExist) {
			return abi.NOENT
		}
		return abi.INVAL
	case errors.Is(err, fs.ErrNotExist):
		return abi.NOENT
	}
	return abi.IO
}

// errnoSet are the errors that a function may answer.
type errnoSet [2]uint64

func (s *errnoSet) add(no abi.Errno) { s[no/64] |= 1 << (no % 64) }

func (s *errnoSet) has(no abi.Errno) bool { return int(no) < 64*len(s) && s[no/64]>>(no%64)&1 != 0 }

// placeError is an error of opening a file, a directory or a cgroup by its path or number: where a part of the path is not what it
// should be, there is no such place.
func placeError(err error) error {
	for _, no := range []unix.Errno{unix.ENOTDIR, unix.ENAMETOOLONG, unix.ELOOP, unix.ESTALE} {
		if errors.Is(err, no) {
			return &fault{abi.NOENT, err.Error()}
		}
	}
	if errors.Is(err, unix.EACCES) {
		return &fault{abi.PERM, err.Error()}
	}
	return err
}
