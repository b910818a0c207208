package bpf

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attachNetkit puts a program on a netkit device: on the primary one for its own side (section netkit/primary) or for its peer's
// (netkit/peer). Requires at least Linux 6.7.
func attachNetkit(p *Program, t Target) (*Link, error) {
	index, err := interfaceIndex(t.Interface, "nk0, the primary device of a netkit pair")
	if err != nil {
		return nil, err
	}
	at, side := ebpf.AttachNetkitPrimary, "primary"
	if p.attachTo == "peer" {
		at, side = ebpf.AttachNetkitPeer, "peer"
	}
	anchor, err := t.place()
	if err != nil {
		return nil, err
	}
	l, err := link.AttachNetkit(link.NetkitOptions{Interface: index, Program: p.prog, Attach: at, Anchor: anchor})
	if err != nil {
		return nil, err
	}
	return newLink(l, t.Interface+":"+side), nil
}
