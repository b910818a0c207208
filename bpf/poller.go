package bpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Poller waits for several [Events] at once. One goroutine waits; Add and Close may be called from others. It does not own the
// readers.
type Poller struct {
	w *waiter

	// mu guards the fields that follow.
	mu      sync.Mutex
	sources []source
	held    []source // those of the Wait that runs
	waiting bool
}

// source is a reader that a Poller can wait for.
type source interface {
	ready() bool
	waiter() *waiter
}

func (r *Ring) waiter() *waiter { return r.w }
func (p *Perf) waiter() *waiter { return p.w }

// NewPoller makes a Poller without readers. The caller closes it.
func NewPoller() (*Poller, error) {
	w, err := newWaiter(func() error { return nil })
	if err != nil {
		return nil, fmt.Errorf("make a poller: %w", err)
	}
	return &Poller{w: w}, nil
}

// Add makes the next Wait wait for a reader, too. The error matches [ErrType] for a reader that is not of this package, [ErrBusy]
// for one that was added before, and [os.ErrClosed] if the reader or the Poller was closed.
func (p *Poller) Add(e Events) error {
	s, ok := e.(source)
	if !ok {
		return fmt.Errorf("add to poller: %w: %T", ErrType, e)
	}
	if err := p.w.enter(); err != nil {
		return fmt.Errorf("add to poller: %w", err)
	}
	defer p.w.leave()
	if err := s.waiter().enter(); err != nil {
		return fmt.Errorf("add to poller: reader: %w", err)
	}
	defer s.waiter().leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.sources, s) {
		return fmt.Errorf("add to poller: %w: it was added before", ErrBusy)
	}
	if err := p.w.add(s.waiter().epoll, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return fmt.Errorf("add to poller: %w", err)
	}
	p.sources = append(p.sources, s)
	return nil
}

// Remove makes the next Wait not wait for a reader any more. One that was not added is no error.
func (p *Poller) Remove(e Events) {
	s, ok := e.(source)
	if !ok || p.w.enter() != nil {
		return
	}
	defer p.w.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(s)
}

// drop must be called with mu held and the Poller's descriptors open.
func (p *Poller) drop(s source) {
	i := slices.Index(p.sources, s)
	if i < 0 {
		return
	}
	p.sources = slices.Delete(p.sources, i, i+1)
	if s.waiter().enter() == nil { // else its descriptor is gone, and with it what epoll knew
		_ = unix.EpollCtl(p.w.epoll, unix.EPOLL_CTL_DEL, s.waiter().epoll, nil)
		s.waiter().leave()
	}
}

// Wait blocks until one of the readers may have a record or was closed (true), until the time-out passes (false), or until the
// Poller is stopped: then the error is the cause of ctx or matches [os.ErrClosed]. A negative timeout means no limit, zero does
// not block. A reader that was closed is told once, and removed. While a Wait runs, another one gives [ErrBusy].
func (p *Poller) Wait(ctx context.Context, timeout time.Duration) (bool, error) {
	if err := p.w.enter(); err != nil {
		return false, fmt.Errorf("wait in poller: %w", err)
	}
	defer p.w.leave()
	closed, err := p.begin()
	if err != nil {
		return false, err
	}
	defer p.end()
	if closed {
		timeout = 0
	}
	ok, err := p.w.wait(ctx, timeout, p.ready)
	if errors.Is(err, os.ErrClosed) {
		err = fmt.Errorf("wait in poller: %w", err)
	}
	return ok || closed && err == nil, err
}

// begin keeps the memory of the readers for a Wait, and reports whether one of them is closed.
func (p *Poller) begin() (closed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting {
		return false, fmt.Errorf("wait in poller: %w: a wait is running", ErrBusy)
	}
	p.waiting = true
	p.sources = slices.DeleteFunc(p.sources, func(s source) bool {
		if s.waiter().enter() != nil {
			closed = true
			return true
		}
		p.held = append(p.held, s)
		return false
	})
	return closed, nil
}

// end undoes begin and forgets readers that were closed meanwhile.
func (p *Poller) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.held {
		if s.waiter().stopped() {
			p.drop(s)
		}
		s.waiter().leave()
	}
	clear(p.held)
	p.held = p.held[:0]
	p.waiting = false
}

// ready is for the goroutine that waits, between begin and end.
func (p *Poller) ready() bool {
	for _, s := range p.held {
		if s.ready() || s.waiter().stopped() {
			return true
		}
	}
	return false
}

// Close stops a Wait that is running. It is idempotent and leaves the readers open.
func (p *Poller) Close() error { return p.w.close() }
