package bpf

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// attachSocketFilter puts a program in front of a socket's receive queue; it says how many bytes of each packet get through.
// Close takes it away if the socket is still open. Requires at least Linux 3.19.
func attachSocketFilter(p *Program, t Target) (*Link, error) {
	return attachToSocket(p, t, unix.SO_ATTACH_BPF, unix.SO_DETACH_BPF)
}

func attachToSocket(p *Program, t Target, on, off int) (*Link, error) {
	if t.Socket <= 0 {
		return nil, badTarget("no socket given; set Target.Socket to the descriptor of an open socket")
	}
	cookie, err := socketCookie(t.Socket)
	if err != nil {
		return nil, badTarget("descriptor %d: %w", t.Socket, err)
	}
	if err := unix.SetsockoptInt(t.Socket, unix.SOL_SOCKET, on, p.prog.FD()); err != nil {
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("the socket's filter is locked (SO_LOCK_FILTER): %w", err)
		}
		return nil, fmt.Errorf("set socket option: %w", err)
	}
	return &Link{target: fmt.Sprintf("socket %d", t.Socket), undo: []func() error{func() error {
		// The number may belong to another file by now; then our socket is closed and the program gone with it.
		if now, err := socketCookie(t.Socket); err != nil || now != cookie {
			return nil
		}
		err := unix.SetsockoptInt(t.Socket, unix.SOL_SOCKET, off, 0)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("set socket option: %w", err)
		}
		return nil
	}}}, nil
}

// socketCookie is a number that no other socket of this boot has.
func socketCookie(fd int) (uint64, error) {
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
}
