package bpf

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Events reads the records that programs write to a ring buffer ([Ring]) or a perf array ([Perf]). One goroutine waits and
// drains; Lost and Close may be called from others.
type Events interface {
	// Wait blocks until there may be a record (true), until the time-out passes (false) or until the reader is stopped: then the
	// error is the cause of ctx or matches [os.ErrClosed]. A negative timeout means no limit, zero does not block.
	Wait(ctx context.Context, timeout time.Duration) (bool, error)
	// Drain hands out the records that are there, at most max (zero or less: those that were there at the call), in order and
	// without copying, and returns how many. rec is the kernel's memory: it may only be read, and only until fn returns. An error
	// of fn stops and is returned; that record counts as consumed. While a Drain runs, another one gives [ErrBusy].
	Drain(max int, fn func(rec []byte) error) (int, error)
	// Lost returns how many records the kernel could not store. Added to the number of records read it is the number of records
	// that programs tried to send since the object was loaded, or since an earlier reader of the same map was closed.
	Lost() uint64
	// Close stops a Wait that is running and gives up the memory when the Wait or Drain that runs is done. It is idempotent.
	Close() error
}

// OpenEvents opens a reader on a ring buffer or a perf array, with default options. For another type of map the error matches
// [ErrType].
func (m *Map) OpenEvents() (Events, error) {
	switch m.typ {
	case ebpf.RingBuf:
		return OpenRing(m)
	case ebpf.PerfEventArray:
		return OpenPerf(m, PerfOptions{})
	}
	return nil, fmt.Errorf("read events of map %s: %w: %s is neither a ring buffer nor a perf array", m.name, ErrType, m.typ)
}

// waiter lets one goroutine sleep until a file descriptor becomes readable and another one wake it.
type waiter struct {
	epoll int
	wake  int // an eventfd

	// mu guards the fields that follow.
	mu      sync.Mutex
	users   int
	closed  bool
	release func() error // run by the last user after close
}

// newWaiter makes a waiter without descriptors to wait for. release is called once, when it is closed and nobody uses it.
func newWaiter(release func() error) (*waiter, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &waiter{epoll: ep, wake: ev, release: release}
	if err := w.add(ev, unix.EPOLLIN); err != nil {
		unix.Close(ep)
		unix.Close(ev)
		return nil, err
	}
	return w, nil
}

// add waits for a descriptor, too. With EPOLLET a descriptor reports each wake-up once; the caller looks at the memory itself.
func (w *waiter) add(fd int, events uint32) error {
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// enter keeps the memory and the descriptors until leave. It fails after close.
func (w *waiter) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	w.users++
	return nil
}

// leave ends what enter began.
func (w *waiter) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users--; w.users == 0 && w.closed {
		_ = w.free()
	}
}

// stopped reports whether close was called.
func (w *waiter) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// close wakes the goroutine that sleeps and releases everything as soon as nobody is inside.
func (w *waiter) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.users > 0 {
		w.signal()
		return nil
	}
	return w.free()
}

// free must be called with mu held.
func (w *waiter) free() error {
	err := w.release()
	unix.Close(w.epoll)
	unix.Close(w.wake)
	return err
}

// signal must be called with mu held and the descriptors open.
func (w *waiter) signal() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // any number that is not zero, whatever the byte order
	_, _ = unix.Write(w.wake, one[:])
}

// interrupt wakes the goroutine that sleeps, if there is still one.
func (w *waiter) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users > 0 {
		w.signal()
	}
}

// wait sleeps until ready says that there is something to read. It may only be called between enter and leave.
func (w *waiter) wait(ctx context.Context, timeout time.Duration, ready func() bool) (bool, error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	if ready() {
		return true, nil
	}
	if timeout == 0 {
		return false, nil
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, w.interrupt)()
	}
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	var events [8]unix.EpollEvent
	for {
		ms := -1
		if timeout > 0 {
			left := time.Until(deadline)
			if left <= 0 {
				return ready(), nil
			}
			ms = int(min((left+time.Millisecond-1)/time.Millisecond, 1<<30))
		}
		n, err := unix.EpollWait(w.epoll, events[:], ms)
		if err != nil && err != unix.EINTR {
			return false, fmt.Errorf("epoll_wait: %w", err)
		}
		for i := range events[:max(n, 0)] {
			if int(events[i].Fd) == w.wake {
				var b [8]byte
				_, _ = unix.Read(w.wake, b[:])
			}
		}
		if w.stopped() {
			return false, os.ErrClosed
		}
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		if ready() {
			return true, nil
		}
	}
}
