package bpf

import (
	"errors"
	"os"
	"strings"

	"github.com/cilium/ebpf/link"

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
	symbol := t.Symbol
	if isSyscall(p.hook) {
		symbol = "sys_" + strings.TrimPrefix(symbol, "sys_") // link.Kprobe adds the architecture's own prefix
	}
	opts := &link.KprobeOptions{Cookie: t.Cookie, Offset: t.Offset}
	open := link.Kprobe
	if p.hook == HookKretprobe || p.hook == HookKretsyscall {
		open = link.Kretprobe
	}
	l, err := open(symbol, p.prog, opts)
	if errors.Is(err, os.ErrNotExist) {
		return nil, badTarget("this kernel has no function %s that can be probed (see /proc/kallsyms): %w", symbol, os.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return newLink(l, t.describe(p)), nil
}

func isSyscall(h Hook) bool { return h == HookKsyscall || h == HookKretsyscall }
