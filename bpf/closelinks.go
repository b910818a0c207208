package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf/link"
)

// closers is how many links are closed at a time. The kernel waits in each close until no CPU can run the program any more; such waits
// pass together.
const closers = 64

// CloseLinks closes links as [Link.Close] does, but in a fraction of the time: those that the kernel waits for at once, the others newest
// (last) first. When it returns no program runs any more.
//
// The kernel gives up the perf events of tracepoints, kprobes and (before Linux 6.10) uprobes one after the other, with a wait of some
// 30 to 100 ms for each. After patience, which begins when all programs are detached, the rest of that is left to a goroutine that ends
// when it is done; negative means to wait for it, as it does before Linux 5.15, where events have the programs. gone is told of each link
// of which nothing is left, or that was closed before, from any goroutine; nil tells nobody.
func CloseLinks(links []*Link, patience time.Duration, gone func(*Link)) error {
	if gone == nil {
		gone = func(*Link) {}
	}
	var c closing
	for _, l := range slices.Backward(links) {
		c.begin(l, gone)
	}
	c.detach()
	var rest []part
	for _, p := range c.parts {
		switch {
		case len(p.events) == 0:
			gone(p.link)
		case len(p.raw) == 0 || patience < 0: // without a link, the event itself has the program
			c.giveUp(p, gone)
		default:
			rest = append(rest, p)
		}
	}
	if len(rest) == 0 {
		return c.err()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, p := range rest {
			c.giveUp(p, gone)
		}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return c.err()
}

// closing is one call of CloseLinks.
type closing struct {
	parts []part // of the links that take a wait

	// mu guards the field that follows.
	mu   sync.Mutex
	errs []error
}

// part is what a link has open.
type part struct {
	link   *Link
	raw    []link.Link
	events []*os.File
}

func (c *closing) fail(l *Link, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf("detach %s: %w", l, err))
}

func (c *closing) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.errs...)
}

// begin marks a link closed, and closes it if that takes no wait.
func (c *closing) begin(l *Link, gone func(*Link)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		gone(l)
	case l.hook.traces() && len(l.undo) == 0:
		c.parts = append(c.parts, part{l, l.raw, l.events})
	default:
		var errs []error
		for _, r := range slices.Backward(l.raw) {
			errs = append(errs, r.Close())
		}
		c.fail(l, errors.Join(append(errs, l.release())...))
		gone(l)
	}
	l.closed = true
}

// detach closes the kernel's links.
func (c *closing) detach() {
	jobs := make(chan func())
	total := 0
	for _, p := range c.parts {
		total += len(p.raw)
	}
	var wg sync.WaitGroup
	for range min(total, closers) {
		wg.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	for _, p := range c.parts {
		for _, r := range slices.Backward(p.raw) {
			jobs <- func() { c.fail(p.link, r.Close()) }
		}
	}
	close(jobs)
	wg.Wait()
}

// giveUp closes the perf events of a link.
func (c *closing) giveUp(p part, gone func(*Link)) {
	for _, e := range slices.Backward(p.events) {
		c.fail(p.link, e.Close())
	}
	gone(p.link)
}

// LinkFiles is how many descriptors one link of the kernel's takes for this program: two where it is on a perf event, else one at most.
func (p *Program) LinkFiles() int {
	switch p.hook {
	case HookTracepoint, HookKprobe, HookKretprobe, HookKsyscall, HookKretsyscall, HookPerfEvent:
		return 2
	case HookUprobe, HookUretprobe, HookUSDT:
		if !p.multi {
			return 2
		}
	}
	return 1
}

// traces reports whether the kernel waits when a link of this hook is closed.
func (h Hook) traces() bool {
	info, ok := h.info()
	return ok && slices.Equal(info.caps, tracingCaps)
}
