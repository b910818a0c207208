package runtime

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stoppable makes a read from a file end with [io.EOF] when ctx is done, so that
// a plugin that waits for input can be stopped. Other readers are passed through.
// The second result frees what it took.
func stoppable(ctx context.Context, r io.Reader) (io.Reader, func()) {
	f, ok := r.(*os.File)
	if !ok || f == nil {
		return r, func() {}
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return r, func() {}
	}
	// No reader is left when the instance has ended, and detach waits for a
	// signal that is being sent, so that the descriptor is closed last.
	sent := make(chan struct{})
	detach := context.AfterFunc(ctx, func() {
		defer close(sent)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	return &stdin{f: f, wake: wake}, func() {
		if !detach() {
			<-sent
		}
		unix.Close(wake)
	}
}

// stdin reads f once it has something, or nothing once wake was signalled.
type stdin struct {
	f    *os.File
	wake int
}

func (s *stdin) Read(p []byte) (int, error) {
	fds := []unix.PollFd{
		{Fd: int32(s.f.Fd()), Events: unix.POLLIN},
		{Fd: int32(s.wake), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case fds[1].Revents != 0:
			return 0, io.EOF
		}
		return s.f.Read(p)
	}
}
