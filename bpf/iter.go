package bpf

import (
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attachIter makes an iterator: a program that the kernel runs for every task, map entry, socket and so on when the output of
// [Link.OpenIter] is read. Iterators over the entries of a map need that map as target. Requires at least Linux 5.8 and kernel BTF.
func attachIter(p *Program, t Target) (*Link, error) {
	var m *ebpf.Map
	if p.attachTo == "bpf_map_elem" || p.attachTo == "bpf_sk_storage_map" || p.attachTo == "sockmap" || t.Map != nil || t.MapName != "" {
		found, err := targetMap(p, t, "for this iterator")
		if err != nil {
			return nil, err
		}
		m = found.Kernel()
	}
	l, err := link.AttachIter(link.IterOptions{Program: p.prog, Map: m})
	if err != nil {
		return nil, err
	}
	return newLink(l, p.attachTo), nil
}

// OpenIter runs an iterator once: its output is what the program writes. The caller closes the reader; after the Link is closed
// the reader goes on. The error matches [ErrType] for every hook but iter.
func (l *Link) OpenIter() (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("open iterator %s: %w", l.name(), errLinkClosed)
	}
	if len(l.raw) == 1 {
		if it, ok := l.raw[0].(*link.Iter); ok {
			r, err := it.Open()
			if err != nil {
				return nil, fmt.Errorf("open iterator %s: %w", l.name(), err)
			}
			return r, nil
		}
	}
	return nil, fmt.Errorf("open iterator %s: %w: it is a program for %s", l.name(), ErrType, l.hook)
}
