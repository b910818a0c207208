package bpf

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Link is a program attached to a hook. Unless it is pinned, it ends with Close or with the process; ways of attaching that the
// kernel has no link for (Mode "clsact" and "attach") end only with Close.
//
// All methods may be used from several goroutines at once, also while the Link is being closed.
type Link struct {
	prog   atomic.Pointer[Program] // nil for a link whose program was loaded by somebody else
	hook   Hook
	target string
	mode   string
	note   string
	// raw are the kernel's links, several for a program that is attached at several places at once.
	raw []link.Link
	// events are the perf events that the kernel's links are on, or without those (before Linux 5.15) the program itself.
	events []*os.File
	// undo runs newest first in Close, after raw and events are closed.
	undo []func() error

	// mu guards the fields that follow.
	mu     sync.Mutex
	closed bool
	off    bool // Detach has taken the program off
}

// Program is the attached program. It is nil for a link that was opened from a pin: who attached it has the program.
func (l *Link) Program() *Program { return l.prog.Load() }

// of notes which program is attached.
func (l *Link) of(p *Program) *Link {
	l.prog.Store(p)
	l.hook = p.hook
	return l
}

// name is the name of the attached program, for messages.
func (l *Link) name() string {
	if p := l.prog.Load(); p != nil {
		return p.name
	}
	return "(a program of another process)"
}

// Hook is where the program is attached.
func (l *Link) Hook() Hook { return l.hook }

// Target is what the program is attached to, for people: "eth0", "/bin/bash:readline".
func (l *Link) Target() string { return l.target }

// Mode says how the program was attached where there is a choice: "native", "generic" or "offload" (xdp), "tcx" or "clsact" (tc),
// "link" or "attach" (cgroup, sk_msg, sk_skb, flow_dissector). It is empty elsewhere.
func (l *Link) Mode() string { return l.mode }

// Note says why a lesser mode was taken ("native refused: ..."). It is empty where there is nothing to say.
func (l *Link) Note() string { return l.note }

// Detached reports whether [Link.Detach] has taken the program off its hook.
func (l *Link) Detached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.off
}

// String describes the link: "xdp count on eth0 (native)".
func (l *Link) String() string {
	s := string(l.hook) + " " + l.name()
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
		info, _ := l.hook.info()
		return fmt.Errorf("pin %s at %s: %w", l, path, explain(err, l.hook, info))
	}
	return nil
}

// Held answers how many links of the kernel's this is, at least one, and how many descriptors of this process it holds.
func (l *Link) Held() (links, files int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(1, len(l.raw), len(l.events)), len(l.raw) + len(l.events)
}

// Close detaches the program; a pinned link stays attached. It is idempotent.
func (l *Link) Close() error { return CloseLinks([]*Link{l}, -1, nil) }
