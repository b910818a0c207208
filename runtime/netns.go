package runtime

import (
	"fmt"
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// threadNetns is the network namespace of the calling thread.
const threadNetns = "/proc/thread-self/ns/net"

// callersNetns opens the network namespace of the calling thread, which is another
// than that of the rest of the process when its goroutine is locked to it and
// called setns(2). It answers -1 where there is no /proc.
func callersNetns() int {
	fd, err := unix.Open(threadNetns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// inNetns runs f in the namespace of an open descriptor, which it closes. The
// thread goes back afterwards; one that cannot is not used again.
func inNetns(fd int, f func()) error {
	if fd < 0 {
		f()
		return nil
	}
	defer unix.Close(fd)
	goruntime.LockOSThread()
	var here, there unix.Stat_t
	if unix.Stat(threadNetns, &here) != nil || unix.Fstat(fd, &there) != nil || here.Ino == there.Ino {
		goruntime.UnlockOSThread()
		f()
		return nil
	}
	home := callersNetns()
	defer unix.Close(home)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		goruntime.UnlockOSThread()
		return fmt.Errorf("enter the caller's network namespace: %w", err)
	}
	f()
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leave the caller's network namespace: %w", err)
	}
	goruntime.UnlockOSThread()
	return nil
}
