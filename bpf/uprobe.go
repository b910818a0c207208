package bpf

import (
	"errors"
	"os"

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
	l := &Link{target: t.describe(p)}
	if err := l.addUprobe(p, probePoint{name: x.path, offset: offset, ret: p.hook == HookUretprobe}, t); err != nil {
		return nil, err
	}
	return l, nil
}

// uprobeTarget completes a target from the section name and opens the file it means. The caller closes it.
func uprobeTarget(p *Program, t Target) (Target, *executable, error) {
	if p.attachTo != "" && (t.Path == "" || !t.hasSymbol()) {
		section, err := ParseTarget(p.hook, p.attachTo)
		if err != nil {
			return t, nil, err
		}
		t = t.or(section)
	}
	if !t.hasSymbol() {
		return t, nil, noTarget("program and function", "/bin/bash:readline, libc.so.6:malloc or /bin/x:0x1234")
	}
	if err := t.checkSymbols(isMulti(p.hook)); err != nil {
		return t, nil, err
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

// addUprobe attaches to an offset in a file.
func (l *Link) addUprobe(p *Program, at probePoint, t Target) error {
	at.kind = "uprobe"
	add := l.addProbe
	if p.multi {
		add = l.addMulti
	}
	err := add(p, at, t)
	if errors.Is(err, ErrTarget) {
		return err
	}
	if errors.Is(err, enotsupp) || errors.Is(err, unix.EINVAL) {
		return badTarget("the kernel cannot probe offset %#x of %s (no code there, or an instruction that cannot be probed): %w", at.offset, at.name, terse{err})
	}
	return err
}

// addMulti attaches a program that was loaded for uprobe.multi to one place.
func (l *Link) addMulti(p *Program, at probePoint, t Target) error {
	ex, err := link.OpenExecutable(at.name)
	if err != nil {
		return badTarget("%w", err)
	}
	opts := &link.UprobeMultiOptions{Addresses: []uint64{at.offset}, PID: uint32(t.PID)}
	if t.Cookie != 0 {
		opts.Cookies = []uint64{t.Cookie}
	}
	if at.semaphore != 0 {
		opts.RefCtrOffsets = []uint64{at.semaphore}
	}
	open := ex.UprobeMulti
	if at.ret {
		open = ex.UretprobeMulti
	}
	raw, err := open(nil, p.prog, opts)
	if errors.Is(err, os.ErrNotExist) && t.PID != 0 {
		return badTarget("no process %d: %w", t.PID, unix.ESRCH)
	}
	if err != nil {
		return err
	}
	l.raw = append(l.raw, raw)
	return nil
}
