package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attachXDP puts an xdp program on an interface, in the driver if that can, else in the stack; which one is the link's mode.
// Programs in sections xdp.frags also take packets of several buffers (Linux 5.18). Requires at least Linux 5.9.
func attachXDP(p *Program, t Target) (*Link, error) {
	if p.attachTo == "devmap" || p.attachTo == "cpumap" {
		return nil, fmt.Errorf("%w: it runs from an entry of a %s: put its descriptor into the map", ErrType, p.attachTo)
	}
	index, err := interfaceIndex(t.Interface, "eth0, eth0:native or eth0:generic")
	if err != nil {
		return nil, err
	}
	switch t.Mode {
	case XDPNative:
		return linkXDP(p, t, index, XDPNative)
	case XDPGeneric:
		return linkXDP(p, t, index, XDPGeneric)
	case XDPOffload:
		return linkXDP(p, t, index, XDPOffload)
	case XDPAuto:
	default:
		return nil, badTarget("no mode %q; want native, generic or offload", t.Mode)
	}
	l, err := linkXDP(p, t, index, XDPNative)
	if err == nil || !nativeRefused(err) {
		return l, err
	}
	l, genericErr := linkXDP(p, t, index, XDPGeneric)
	if genericErr != nil {
		return nil, fmt.Errorf("%w; %w", err, genericErr)
	}
	l.note = "native refused: " + terse{err}.Error()
	return l, nil
}

// nativeRefused reports whether the driver, and not the kernel as a whole, cannot do it.
func nativeRefused(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, enotsupp) || errors.Is(err, unix.EINVAL) ||
		errors.Is(err, unix.ERANGE) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOSPC)
}

func linkXDP(p *Program, t Target, index int, mode XDPMode) (*Link, error) {
	flags := map[XDPMode]link.XDPAttachFlags{
		XDPNative: link.XDPDriverMode, XDPGeneric: link.XDPGenericMode, XDPOffload: link.XDPOffloadMode,
	}[mode]
	l, err := link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: index, Flags: flags})
	switch {
	case err == nil:
		made := newLink(l, t.Interface)
		made.mode = string(mode)
		return made, nil
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("%w: %s", ErrBusy, xdpOccupant(index))
	case errors.Is(err, unix.ERANGE):
		return nil, fmt.Errorf("%s mode: %w: the MTU is too large for it; lower the MTU, use the section xdp.frags, or generic mode", mode, err)
	case mode == XDPOffload && nativeRefused(err), errors.Is(err, unix.EOPNOTSUPP) && t.Mode != XDPAuto:
		return nil, &UnsupportedError{
			Feature: fmt.Sprintf("xdp in %s mode", mode), Need: "a driver that has it; or use generic mode", Cause: err,
		}
	}
	return nil, fmt.Errorf("%s mode: %w", mode, terse{err})
}

// xdpOccupant says which program is on an interface already.
func xdpOccupant(index int) string {
	const how = "; detach it first (bpftool net, ip link set dev ... xdp off)"
	l, err := netlink.LinkByIndex(index)
	if err != nil || l.Attrs().Xdp == nil || !l.Attrs().Xdp.Attached {
		return "another program is attached" + how
	}
	x := l.Attrs().Xdp
	mode := map[uint32]string{1: "native", 2: "generic", 3: "offload"}[x.AttachMode]
	return fmt.Sprintf("%s is attached in %s mode", programByID(x.ProgId), mode) + how
}

// programByID names a program of anybody.
func programByID(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return fmt.Sprintf("program %d", id)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil || info.Name == "" {
		return fmt.Sprintf("program %d", id)
	}
	return fmt.Sprintf("program %d (%s)", id, info.Name)
}
