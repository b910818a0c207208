package hostfuncs

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// Errno is the Linux error number that says best what went wrong: the one that
// the kernel gave, when there is one in the chain of errors, and EINVAL when
// nothing better is known. It is 0 for nil.
func Errno(err error) unix.Errno {
	var no unix.Errno
	switch {
	case err == nil:
		return 0
	case errors.Is(err, policy.ErrDenied):
		return unix.EPERM
	case errors.Is(err, bpf.ErrUnsupported): // first: its cause may be another number
		return unix.EOPNOTSUPP
	case errors.Is(err, bpf.ErrPermission):
		return unix.EPERM
	case errors.As(err, &no):
		return no
	case errors.Is(err, bpf.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return unix.ENOENT
	case errors.Is(err, os.ErrClosed):
		return unix.EBADF
	case errors.Is(err, bpf.ErrBusy):
		return unix.EBUSY
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unix.EINTR
	}
	return unix.EINVAL
}
