package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachSockmap puts a program on a sockmap or sockhash: with a link where the kernel has them (Linux 6.10).
func attachSockmap(p *Program, t Target, at ebpf.AttachType) (*Link, error) {
	m, err := targetMap(p, t, "a sockmap or sockhash", ebpf.SockMap, ebpf.SockHash)
	if err != nil {
		return nil, err
	}
	raw, err := link.AttachRawLink(link.RawLinkOptions{Target: m.FD(), Program: p.prog, Attach: at})
	if err == nil {
		l := newLink(raw, m.Name())
		l.mode = "link"
		return l, nil
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		return nil, busyf("another %s program is attached to map %s", p.hook, m.Name())
	}
	if !errors.Is(err, link.ErrNotSupported) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, err
	}
	return attachSockmapOld(p, m, at)
}

// attachSockmapOld is for kernels without sockmap links.
func attachSockmapOld(p *Program, m *Map, at ebpf.AttachType) (*Link, error) {
	prog, err := p.prog.Clone()
	if err != nil {
		return nil, err
	}
	sockmap, err := m.Kernel().Clone()
	if err != nil {
		return nil, errors.Join(err, prog.Close())
	}
	if err := link.RawAttachProgram(link.RawAttachProgramOptions{Target: sockmap.FD(), Program: prog, Attach: at}); err != nil {
		if verdict := (kernel.Version{Major: 5, Minor: 13}); errors.Is(err, unix.EINVAL) && at == ebpf.AttachSkSKBVerdict && tooOld(verdict) {
			err = &UnsupportedError{Feature: "sk_skb/verdict", Need: "Linux " + verdict.Short() + ", or sk_skb/stream_parser and stream_verdict", Cause: err}
		}
		return nil, errors.Join(err, prog.Close(), sockmap.Close())
	}
	return &Link{target: m.Name(), mode: "attach", undo: []func() error{func() error {
		err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: sockmap.FD(), Program: prog, Attach: at})
		if errors.Is(err, unix.ENOENT) {
			err = nil // somebody else's program took its place
		}
		return errors.Join(err, prog.Close(), sockmap.Close())
	}}}, nil
}

// targetMap is the map that a target means: the one given, the one named, or the only one of the object that fits.
func targetMap(p *Program, t Target, what string, types ...ebpf.MapType) (*Map, error) {
	fits := func(m *Map) bool {
		for _, mt := range types {
			if m.Type() == mt {
				return true
			}
		}
		return len(types) == 0
	}
	m := t.Map
	if m == nil && t.MapName != "" {
		var err error
		if m, err = p.objectMap(t.MapName); err != nil {
			return nil, badTarget("%w", err)
		}
	}
	if m != nil {
		if !fits(m) {
			return nil, badTarget("map %s is a %s, not %s: %w", m.Name(), m.Type(), what, ErrType)
		}
		return m, nil
	}
	var found []string
	var all []*Map
	if p.obj != nil {
		all = p.obj.maps
	}
	for _, c := range all {
		if fits(c) {
			found = append(found, c.Name())
			m = c
		}
	}
	switch len(found) {
	case 1:
		return m, nil
	case 0:
		return nil, badTarget("no map given and the object has none that is %s", what)
	}
	return nil, badTarget("which map? give one of: %s", strings.Join(found, ", "))
}

// objectMap is a map of the program's object.
func (p *Program) objectMap(name string) (*Map, error) {
	if p.obj == nil {
		return nil, fmt.Errorf("map %q: %w: the program has no object; set Target.Map", short(name), ErrNotFound)
	}
	return p.obj.Map(name)
}
