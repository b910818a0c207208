package bpf

import (
	"errors"
	"os"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachKprobe runs a program at the entry or return of a kernel function, section kprobe/FUNCTION[+OFFSET], or of a system call
// by its name, section ksyscall/NAME. It needs no tracefs. Requires at least Linux 4.17 and a kernel with kprobes.
func attachKprobe(p *Program, t Target) (*Link, error) {
	if t.Symbol == "" && p.attachTo != "" {
		section, err := ParseTarget(p.hook, p.attachTo)
		if err != nil {
			return nil, err
		}
		t = t.or(section)
	}
	if t.Symbol == "" {
		return nil, noTarget("function", map[bool]string{false: "do_unlinkat", true: "openat"}[isSyscall(p.hook)])
	}
	if err := kernel.Kprobes(); err != nil {
		return nil, err
	}
	at := probePoint{kind: "kprobe", name: t.Symbol, offset: t.Offset, ret: p.hook == HookKretprobe || p.hook == HookKretsyscall}
	if isSyscall(p.hook) {
		at.name = "sys_" + strings.TrimPrefix(at.name, "sys_")
	}
	l := &Link{target: t.describe(p)}
	symbol := at.name
	err := l.addProbe(p, at, t)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EINVAL) {
		at.name = syscallPrefix() + symbol
		err = l.addProbe(p, at, t)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, noSuch("this kernel has no function %s that can be probed (see /proc/kallsyms)", symbol)
	case errors.Is(err, unix.EILSEQ):
		return nil, badTarget("function %s has no instruction at %#x: %w", symbol, t.Offset, err)
	case errors.Is(err, unix.EINVAL) && strings.Contains(symbol, "."): // old kernels take dots only through tracefs
		return kprobeByTracefs(p, symbol, t, at.ret)
	case err != nil:
		return nil, err
	}
	return l, nil
}

func kprobeByTracefs(p *Program, symbol string, t Target, ret bool) (*Link, error) {
	open := link.Kprobe
	if ret {
		open = link.Kretprobe
	}
	l, err := open(symbol, p.prog, &link.KprobeOptions{Cookie: t.Cookie, Offset: t.Offset})
	if err != nil {
		return nil, err
	}
	return newLink(l, t.describe(p)), nil
}

func isSyscall(h Hook) bool { return h == HookKsyscall || h == HookKretsyscall }
