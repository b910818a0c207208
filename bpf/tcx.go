package bpf

import (
	"cmp"
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachTCX puts a program among those that see the packets of an interface in one direction, at the end unless told otherwise. Requires at least Linux 6.6.
func attachTCX(p *Program, t Target) (*Link, error) {
	index, dir, err := packetTarget(p, t)
	if err != nil {
		return nil, err
	}
	return linkTCX(p, t, index, dir)
}

func linkTCX(p *Program, t Target, index int, dir Direction) (*Link, error) {
	at := ebpf.AttachTCXIngress
	if dir == Egress {
		at = ebpf.AttachTCXEgress
	}
	anchor, err := t.place()
	if err != nil {
		return nil, err
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: p.prog, Attach: at, Anchor: anchor})
	if errors.Is(err, unix.ENOENT) && (t.Anchor != nil || t.AnchorProgram != nil) {
		return nil, badTarget("the anchor is not attached to %s %s: %w", t.Interface, dir, err)
	}
	if errors.Is(err, unix.EEXIST) {
		return nil, busyf("this program is attached to %s %s already", t.Interface, dir)
	}
	if err != nil {
		return nil, err
	}
	made := newLink(l, t.Interface+":"+string(dir))
	made.mode = "tcx"
	return made, nil
}

// packetTarget finds the interface and the direction, which the section's name and the target must agree on.
func packetTarget(p *Program, t Target) (int, Direction, error) {
	named := Direction(p.attachTo)
	if named != Ingress && named != Egress {
		named = DirectionAuto
	}
	switch t.Direction {
	case DirectionAuto, Ingress, Egress:
	default:
		return 0, "", badTarget("no direction %q; want ingress or egress", t.Direction)
	}
	if named != DirectionAuto && t.Direction != DirectionAuto && named != t.Direction {
		return 0, "", badTarget("section %s is for %s; give eth0 or eth0:%s", p.section, named, named)
	}
	index, err := interfaceIndex(t.Interface, "eth0 or eth0:egress")
	return index, cmp.Or(named, t.Direction, Ingress), err
}
