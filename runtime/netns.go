package runtime

import (
	"fmt"
	goruntime "runtime"

	"golang.org/x/sys/unix"
)

// callersNetns answers the network namespace of the calling thread as an open
// descriptor, -1 if it is the process's own. A thread is in another one when its
// goroutine is locked to it and called setns(2).
func callersNetns() (int, error) {
	var thread, process unix.Stat_t
	if unix.Stat("/proc/thread-self/ns/net", &thread) != nil || unix.Stat("/proc/self/ns/net", &process) != nil {
		return -1, nil // no /proc: then nobody can have opened another namespace through it
	}
	if thread.Ino == process.Ino {
		return -1, nil
	}
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the caller's network namespace: %w", err)
	}
	return fd, nil
}

// enterNetns puts the calling goroutine into a namespace for the rest of its life,
// and closes the descriptor. The thread ends with the goroutine.
func enterNetns(fd int) error {
	if fd < 0 {
		return nil
	}
	defer unix.Close(fd)
	goruntime.LockOSThread()
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the caller's network namespace: %w", err)
	}
	return nil
}
