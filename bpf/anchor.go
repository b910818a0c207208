package bpf

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// place is where a target wants a program among others. The anchor must be held until the program is attached: see [Target.hold].
func (t Target) place() (link.Anchor, error) {
	if t.Anchor != nil && t.AnchorProgram != nil {
		return nil, badTarget("both a link and a program are given as anchor; want one")
	}
	anchored := t.Anchor != nil || t.AnchorProgram != nil
	switch t.Place {
	case PlaceAuto, PlaceLast, PlaceFirst:
		if anchored {
			return nil, badTarget("an anchor is given for place %q; want before or after", t.Place)
		}
		if t.Place == PlaceFirst {
			return link.Head(), nil
		}
		return link.Tail(), nil
	case PlaceBefore, PlaceAfter:
		if !anchored {
			return nil, badTarget("place %q: no link or program to be %s of is given", t.Place, t.Place)
		}
	default:
		return nil, badTarget("no place %q; want first, last, before or after", short(string(t.Place)))
	}
	if p := t.AnchorProgram; p != nil {
		if t.Place == PlaceBefore {
			return link.BeforeProgram(p.prog), nil
		}
		return link.AfterProgram(p.prog), nil
	}
	raw, err := t.Anchor.only()
	if err != nil {
		return nil, badTarget("anchor: %w", err)
	}
	if t.Place == PlaceBefore {
		return link.BeforeLink(raw), nil
	}
	return link.AfterLink(raw), nil
}

// only is the kernel's link, where there is exactly one. It must be called with mu held.
func (l *Link) only() (link.Link, error) {
	if l.closed {
		return nil, errLinkClosed
	}
	if len(l.raw) != 1 {
		return nil, fmt.Errorf("%w: %s has no single link of the kernel's", ErrType, l)
	}
	return l.raw[0], nil
}

// placeOnCgroup is BPF_LINK_CREATE on a cgroup with a place among others; cilium/ebpf has it not. Requires at least Linux 6.17.
func placeOnCgroup(p *Program, t Target, dir *os.File, at ebpf.AttachType) (*Link, error) {
	if _, err := t.place(); err != nil {
		return nil, err
	}
	attr := struct {
		prog, target, attachType, flags uint32
		relative, _                     uint32
		revision                        uint64
	}{prog: uint32(p.fd), target: uint32(dir.Fd()), attachType: uint32(at), flags: unix.BPF_F_AFTER}
	if t.Place == PlaceFirst || t.Place == PlaceBefore {
		attr.flags = unix.BPF_F_BEFORE
	}
	if a := t.AnchorProgram; a != nil {
		attr.relative = uint32(a.fd)
	} else if t.Anchor != nil {
		raw, err := t.Anchor.only()
		if err != nil {
			return nil, badTarget("anchor: %w", err)
		}
		h, ok := raw.(interface{ FD() int })
		if !ok {
			return nil, badTarget("anchor: %w: %s has no link of the kernel's", ErrType, t.Anchor)
		}
		attr.relative = uint32(h.FD())
		attr.flags |= unix.BPF_F_LINK
	}
	fd, err := bpfCall(unix.BPF_LINK_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	switch {
	case err == nil:
	case tooOld(kernel.Version{Major: 6, Minor: 17}) && errors.Is(err, unix.EINVAL):
		need := "Linux 6.17"
		if attr.relative != 0 { // some older kernels have it, and answer the same
			need += ", or an anchor that is attached to the same cgroup"
		}
		return nil, &UnsupportedError{Feature: "a place among the programs of a cgroup", Need: need, Cause: err}
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL) && attr.relative != 0:
		return nil, badTarget("the anchor is not attached to cgroup %s (what a link attached there is an anchor by its link): %w", t.Cgroup, err)
	default:
		return nil, err
	}
	raw, err := link.NewFromFD(fd)
	if err != nil {
		return nil, err
	}
	l := newLink(raw, "")
	l.mode = "link"
	return l, nil
}
