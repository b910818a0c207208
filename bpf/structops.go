package bpf

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachStructOps registers the struct_ops map that a program belongs to, such as a TCP congestion control: the target names the
// map, which is not needed where the object has only one. All programs of the map come with it. Requires at least Linux 6.4 (maps
// in section .struct_ops.link); it works also where other trampolines are refused.
func attachStructOps(p *Program, t Target) (*Link, error) {
	m, err := targetMap(p, t, "a struct_ops map (section .struct_ops.link)", ebpf.StructOpsMap)
	if err != nil {
		return nil, err
	}
	l, err := link.AttachStructOps(link.StructOpsOptions{Map: m.Kernel()})
	if errors.Is(err, unix.EEXIST) {
		return nil, busyf("the kernel has one of that name; it may be in use, or the name in map %s is taken", m.Name())
	}
	if err != nil {
		return nil, err
	}
	return newLink(l, m.Name()), nil
}
