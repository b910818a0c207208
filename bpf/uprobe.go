package bpf

import (
	"errors"
	"fmt"
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
	if err := l.addUprobes(p, []probePoint{{name: x.path, offset: offset, ret: p.hook == HookUretprobe}}, t); err != nil {
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

// addUprobes attaches to offsets in one file: all by one link if the program is loaded for that, else by one each.
func (l *Link) addUprobes(p *Program, places []probePoint, t Target) error {
	if p.multi {
		return notThere(l.addMulti(p, places, t), places...)
	}
	for _, at := range places {
		at.kind = "uprobe"
		if err := notThere(l.addProbe(p, at, t), at); err != nil {
			return err
		}
	}
	return nil
}

// notThere explains why the kernel cannot probe a place.
func notThere(err error, places ...probePoint) error {
	if errors.Is(err, ErrTarget) || !errors.Is(err, enotsupp) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	at := places[0]
	where := fmt.Sprintf("offset %#x", at.offset)
	if len(places) > 1 {
		where = fmt.Sprintf("one of %d offsets, the first is %#x,", len(places), at.offset)
	}
	return badTarget("the kernel cannot probe %s of %s (no code there, or an instruction that cannot be probed): %w", where, at.name, terse{err})
}

// addMulti attaches a program that was loaded for uprobe.multi.
func (l *Link) addMulti(p *Program, places []probePoint, t Target) error {
	ex, err := link.OpenExecutable(places[0].name)
	if err != nil {
		return badTarget("%w", err)
	}
	opts := &link.UprobeMultiOptions{PID: uint32(t.PID), Cookies: t.cookies(len(places))}
	counted := false
	for _, at := range places {
		opts.Addresses = append(opts.Addresses, at.offset)
		opts.RefCtrOffsets = append(opts.RefCtrOffsets, at.semaphore)
		counted = counted || at.semaphore != 0
	}
	if !counted {
		opts.RefCtrOffsets = nil
	}
	open := ex.UprobeMulti
	if places[0].ret {
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
