package bpf

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attachStructOps registers the struct_ops map that a program belongs to, such as a TCP congestion control: the target names the
// map, which is not needed where the object has only one. All programs of the map come with it. Requires at least Linux 6.4 (maps
// in section .struct_ops.link) and trampolines.
func attachStructOps(p *Program, t Target) (*Link, error) {
	m, err := targetMap(p, t, "a struct_ops map (section .struct_ops.link)", ebpf.StructOpsMap)
	if err != nil {
		return nil, err
	}
	l, err := link.AttachStructOps(link.StructOpsOptions{Map: m.Kernel()})
	if err != nil {
		return nil, err
	}
	return newLink(l, m.Name()), nil
}
