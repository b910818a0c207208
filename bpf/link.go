package bpf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Link is a program attached to a hook. Unless it is pinned, it ends with Close or with the process; ways of attaching that the
// kernel has no link for (Mode "clsact" and "attach") end only with Close.
type Link struct {
	prog   *Program
	hook   Hook
	target string
	mode   string
	note   string
	// raw are the kernel's links, several for a program that is attached at several places at once.
	raw []link.Link
	// undo runs newest first in Close, after raw is closed.
	undo []func() error

	// mu guards the fields that follow.
	mu     sync.Mutex
	closed bool
}

// Program is the attached program.
func (l *Link) Program() *Program { return l.prog }

// Hook is where the program is attached.
func (l *Link) Hook() Hook { return l.hook }

// Target is what the program is attached to, for people: "eth0", "/bin/bash:readline".
func (l *Link) Target() string { return l.target }

// Mode says how the program was attached where there is a choice: "native", "generic" or "offload" (xdp), "tcx" or "clsact" (tc),
// "link" or "attach" (cgroup, sk_msg, sk_skb, flow_dissector). It is empty elsewhere.
func (l *Link) Mode() string { return l.mode }

// Note says why a lesser mode was taken ("native refused: ..."). It is empty where there is nothing to say.
func (l *Link) Note() string { return l.note }

// String describes the link: "xdp count on eth0 (native)".
func (l *Link) String() string {
	s := string(l.hook) + " " + l.prog.name
	if l.target != "" {
		s += " on " + l.target
	}
	if l.mode != "" {
		s += " (" + l.mode + ")"
	}
	return s
}

// IDs are the kernel's numbers of the links, as bpftool shows them. There is none where the kernel has no link for the hook.
func (l *Link) IDs() []uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	var ids []uint32
	for _, r := range l.raw {
		if info, err := r.Info(); err == nil {
			ids = append(ids, uint32(info.ID))
		}
	}
	return ids
}

// OpenIter runs an iterator once: its output is what the program writes. The caller closes the reader; after the Link is closed
// the reader goes on. The error matches [ErrType] for every hook but iter.
func (l *Link) OpenIter() (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("open iterator %s: %w", l.prog.name, errLinkClosed)
	}
	if len(l.raw) == 1 {
		if it, ok := l.raw[0].(*link.Iter); ok {
			r, err := it.Open()
			if err != nil {
				return nil, fmt.Errorf("open iterator %s: %w", l.prog.name, err)
			}
			return r, nil
		}
	}
	return nil, fmt.Errorf("open iterator %s: %w: it is a program for %s", l.prog.name, ErrType, l.hook)
}

// Pin keeps the program attached after Close and after the process, until the file is removed. The path must be in a bpf file
// system. Requires a way of attaching that the kernel has a link for (see [Link.Mode]). The error matches [ErrUnsupported] where
// there is none.
func (l *Link) Pin(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("pin %s: %w", l, errLinkClosed)
	}
	if len(l.raw) != 1 {
		return fmt.Errorf("pin %s: %w", l, &UnsupportedError{
			Feature: "pinning what is attached without a single link",
			Need:    "to be attached by a process that keeps running",
		})
	}
	dir := filepath.Dir(path)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("pin %s at %s: %w; make the directory first, in a bpf file system (mount -t bpf bpf /sys/fs/bpf)", l, path, err)
	}
	if int64(uint32(st.Type)) != unix.BPF_FS_MAGIC {
		return badTarget("pin %s at %s: %s is not in a bpf file system; mount one: mount -t bpf bpf /sys/fs/bpf", l, path, dir)
	}
	if err := l.raw[0].Pin(path); err != nil {
		return fmt.Errorf("pin %s at %s: %w", l, path, l.prog.explain(err))
	}
	return nil
}

// Update puts another program of the same type in the place of the attached one, without a gap. The error matches
// [ErrUnsupported] for hooks whose links the kernel cannot update (tracing hooks, netfilter, all that have no link).
func (l *Link) Update(p *Program) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("update %s: %w", l, errLinkClosed)
	}
	if p == nil || p.prog == nil || p.prog.FD() < 0 {
		return fmt.Errorf("update %s: program: %w", l, os.ErrClosed)
	}
	if len(l.raw) != 1 {
		return fmt.Errorf("update %s: %w", l, &UnsupportedError{Feature: "updating this link", Need: "to be detached and attached again"})
	}
	if err := l.raw[0].Update(p.prog); err != nil {
		if errors.Is(err, link.ErrNotSupported) {
			err = &UnsupportedError{Feature: "updating this link", Need: "to be detached and attached again", Cause: err}
		}
		return fmt.Errorf("update %s to %s: %w", l, p.name, err)
	}
	l.prog = p
	return nil
}

// Close detaches the program; a pinned link stays attached. It is idempotent.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for i := len(l.raw) - 1; i >= 0; i-- {
		errs = append(errs, l.raw[i].Close())
	}
	for i := len(l.undo) - 1; i >= 0; i-- {
		errs = append(errs, l.undo[i]())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("detach %s: %w", l, err)
	}
	return nil
}
