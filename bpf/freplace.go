package bpf

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachFreplace puts a program in the place of a global function of another program, section freplace/FUNCTION. The other program
// is the target, or was given when this one was loaded. Requires at least Linux 5.6 (5.10 with a target).
func attachFreplace(p *Program, t Target) (*Link, error) {
	var (
		other *ebpf.Program
		name  string
	)
	if t.Program != nil {
		other, name = t.Program.prog, p.attachTo
	}
	l, err := link.AttachFreplace(other, name, p.prog)
	switch {
	case err == nil:
	case errors.Is(err, unix.EINVAL) && t.Program == nil:
		return nil, badTarget("no program given whose function %s is to be replaced; set Target.Program: %w", p.attachTo, err)
	default:
		if why := kernel.Trampolines(); why != nil {
			return nil, errors.Join(why, err)
		}
		return nil, err
	}
	target := p.attachTo
	if t.Program != nil {
		target = t.Program.name + ":" + p.attachTo
	}
	return newLink(l, target), nil
}
