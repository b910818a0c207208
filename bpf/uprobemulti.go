package bpf

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/link"
)

// attachUprobeMulti runs a program at many functions of one file at once: section uprobe.multi/PATH:PATTERN with * and ?, or a
// target. Requires at least Linux 6.6 (sessions 6.13).
func attachUprobeMulti(p *Program, t Target) (*Link, error) {
	t, x, err := uprobeTarget(p, t)
	if err != nil {
		return nil, err
	}
	defer x.close()
	if p.hook == HookUprobeSession {
		return nil, &UnsupportedError{Feature: "uprobe.session", Need: "the program to be in two, uprobe.multi and uretprobe.multi"}
	}
	offsets := []uint64{t.Offset}
	switch {
	case isPattern(t.Symbol):
		if offsets, err = x.matches(t.Symbol); err != nil {
			return nil, err
		}
	case t.Symbol != "":
		start, err := x.function(t.Symbol)
		if err != nil {
			return nil, err
		}
		offsets[0] += start
	}
	ex, err := link.OpenExecutable(x.path)
	if err != nil {
		return nil, badTarget("%w", err)
	}
	opts := &link.UprobeMultiOptions{Addresses: offsets, PID: uint32(t.PID)}
	if t.Cookie != 0 {
		opts.Cookies = slices.Repeat([]uint64{t.Cookie}, len(offsets))
	}
	open := ex.UprobeMulti
	if p.hook == HookUretMulti {
		open = ex.UretprobeMulti
	}
	l, err := open(nil, p.prog, opts)
	if err != nil {
		return nil, err
	}
	made := newLink(l, t.describe(p))
	made.note = fmt.Sprintf("%d functions", len(offsets))
	return made, nil
}
