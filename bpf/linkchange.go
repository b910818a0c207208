package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Update puts another program of the same type in the place of the attached one, without a gap. The error matches
// [ErrUnsupported] for hooks whose links the kernel cannot update (tracing hooks, netfilter, all that have no link). Requires at
// least Linux 5.7.
func (l *Link) Update(p *Program) error { return l.update(p, nil) }

// UpdateFrom is Update on the condition that old is the attached program, which the kernel checks: else the error matches [ErrBusy]
// and nothing changes. Requires at least Linux 5.7 and a hook of the network or of cgroups.
func (l *Link) UpdateFrom(p, old *Program) error {
	if !old.enter() {
		return fmt.Errorf("update %s: expected program: %w", l, os.ErrClosed)
	}
	defer old.leave()
	return l.update(p, old)
}

func (l *Link) update(p, old *Program) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("update %s: %w", l, errLinkClosed)
	}
	if !p.enter() {
		return fmt.Errorf("update %s: program: %w", l, os.ErrClosed)
	}
	defer p.leave()
	if len(l.raw) != 1 {
		return fmt.Errorf("update %s: %w", l, cannotUpdate(nil))
	}
	var err error
	if old == nil {
		err = l.raw[0].Update(p.prog)
	} else {
		err = l.replace(p, old)
	}
	switch {
	case err == nil:
	case errors.Is(err, link.ErrNotSupported), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, enotsupp):
		return fmt.Errorf("update %s to %s: %w", l, p.name, cannotUpdate(err))
	default:
		return fmt.Errorf("update %s to %s: %w", l, p.name, err)
	}
	l.prog.Store(p)
	return nil
}

// replace is an update that names the program it expects.
func (l *Link) replace(p, old *Program) error {
	args, ok := l.raw[0].(interface {
		UpdateArgs(link.RawLinkUpdateOptions) error
	})
	if !ok {
		return link.ErrNotSupported
	}
	err := args.UpdateArgs(link.RawLinkUpdateOptions{New: p.prog, Old: old.prog, Flags: unix.BPF_F_REPLACE})
	switch info, infoErr := linkInfo(l.raw[0]); {
	case infoErr != nil:
	case errors.Is(err, unix.EPERM) && !old.is(info.Program):
		return busyf("%s is not the attached program: %w", old.name, err)
	case errors.Is(err, unix.EINVAL) && !info.Kind.updatable():
		return errors.Join(link.ErrNotSupported, err)
	}
	return err
}

// updatable reports whether the kernel can exchange the program of a link.
func (k LinkKind) updatable() bool {
	switch k {
	case LinkRawTracepoint, LinkTracing, LinkPerfEvent, LinkKprobeMulti, LinkUprobeMulti, LinkNetfilter:
		return false
	}
	return true
}

// is reports whether a program has the kernel's number id.
func (p *Program) is(id uint32) bool {
	info, err := p.Info()
	return err == nil && info.ID == id
}

func cannotUpdate(cause error) error {
	return &UnsupportedError{Feature: "updating this link", Need: "to be detached and attached again", Cause: cause}
}

// Detach takes the program off its hook at once, also where the link is pinned or others hold it: then it stays as a link to
// nothing. The Link must still be closed. The error matches [ErrUnsupported] where the kernel can only close a link: all tracing
// hooks. Requires at least Linux 5.9 for hooks that the kernel has a link for; others are undone as Close does it.
func (l *Link) Detach() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("detach %s: %w", l, errLinkClosed)
	}
	if len(l.raw) == 0 {
		if err := l.release(); err != nil {
			return fmt.Errorf("detach %s: %w", l, err)
		}
		l.off = true
		return nil
	}
	var errs []error
	for _, r := range l.raw {
		err := r.Detach()
		switch {
		case errors.Is(err, unix.EINVAL):
			err = &UnsupportedError{Feature: "detaching a link", Need: "Linux 5.9; or close it, and remove its pin", Cause: err}
		case errors.Is(err, link.ErrNotSupported), errors.Is(err, unix.EOPNOTSUPP):
			err = &UnsupportedError{
				Feature: fmt.Sprintf("detaching a %s link", l.hook), Need: "to be closed by all who hold it, and its pin to be removed", Cause: err,
			}
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("detach %s: %w", l, err)
	}
	l.off = true
	return nil
}

// release undoes what Close undoes beside the kernel's links, once. It must be called with mu held.
func (l *Link) release() error {
	var errs []error
	for _, e := range slices.Backward(l.events) {
		errs = append(errs, e.Close())
	}
	for _, undo := range slices.Backward(l.undo) {
		errs = append(errs, undo())
	}
	l.events, l.undo = nil, nil
	return errors.Join(errs...)
}
