package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachFlowDissector puts a program on a network namespace, by default our own; it says what belongs to one flow. A namespace has
// one. Requires at least Linux 5.7, or 4.20 for the namespace of the calling thread.
func attachFlowDissector(p *Program, t Target) (*Link, error) {
	l, err := attachNetns(p, t)
	if errors.Is(err, link.ErrNotSupported) && t.Netns == "" {
		return attachFlowDissectorOld(p, netnsName(t.Netns))
	}
	return l, err
}

// attachFlowDissectorOld is for Linux 4.20 to 5.6.
func attachFlowDissectorOld(p *Program, name string) (*Link, error) {
	prog, err := p.prog.Clone()
	if err != nil {
		return nil, err
	}
	opts := link.RawAttachProgramOptions{Program: prog, Attach: ebpf.AttachFlowDissector}
	if err := link.RawAttachProgram(opts); err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = busyf("the namespace has a flow dissector already")
		}
		return nil, errors.Join(err, prog.Close())
	}
	return &Link{target: name, mode: "attach", undo: []func() error{func() error {
		err := link.RawDetachProgram(link.RawDetachProgramOptions(opts))
		if errors.Is(err, unix.ENOENT) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("flow dissector: %w", err)
		}
		return errors.Join(err, prog.Close())
	}}}, nil
}
