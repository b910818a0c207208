package bpf

import (
	"errors"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachUprobe runs a program at the entry or return of a function of a program or library, in all processes or one: section
// uprobe/PATH:FUNCTION[+OFFSET], or a target. It needs no tracefs. Requires at least Linux 4.17.
func attachUprobe(p *Program, t Target) (*Link, error) {
	t, x, err := uprobeTarget(p, t)
	if err != nil {
		return nil, err
	}
	defer x.close()
	offset := t.Offset
	if t.Symbol != "" {
		start, err := x.function(t.Symbol)
		if err != nil {
			return nil, err
		}
		offset += start
	}
	l, err := linkUprobe(p, x.path, offset, 0, t, p.hook == HookUretprobe)
	if err != nil {
		return nil, err
	}
	return newLink(l, t.describe(p)), nil
}

// uprobeTarget completes a target from the section name and opens the file it means. The caller closes it.
func uprobeTarget(p *Program, t Target) (Target, *executable, error) {
	if p.attachTo != "" && (t.Path == "" || (t.Symbol == "" && t.Offset == 0)) {
		section, err := ParseTarget(p.hook, p.attachTo)
		if err != nil {
			return t, nil, err
		}
		t = t.or(section)
	}
	if t.Symbol == "" && t.Offset == 0 {
		return t, nil, noTarget("program and function", "/bin/bash:readline, libc.so.6:malloc or /bin/x:0x1234")
	}
	if err := kernel.Uprobes(); err != nil {
		return t, nil, err
	}
	file, err := resolveBinary(t.Path, t.PID)
	if err != nil {
		return t, nil, err
	}
	x, err := openExecutable(file)
	return t, x, err
}

// linkUprobe attaches to an offset in a file; semaphore is the offset of a usdt probe's counter, zero for none.
func linkUprobe(p *Program, file string, offset, semaphore uint64, t Target, ret bool) (link.Link, error) {
	ex, err := link.OpenExecutable(file)
	if err != nil {
		return nil, badTarget("%w", err)
	}
	open := ex.Uprobe
	if ret {
		open = ex.Uretprobe
	}
	l, err := open("", p.prog, &link.UprobeOptions{Address: offset, PID: t.PID, RefCtrOffset: semaphore, Cookie: t.Cookie})
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, badTarget("no process %d: %w", t.PID, err)
	case errors.Is(err, enotsupp), errors.Is(err, unix.EINVAL):
		return nil, badTarget("the kernel cannot probe offset %#x of %s (no code there, or an instruction that cannot be probed): %w", offset, file, terse{err})
	}
	return l, err
}
