package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/link"
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
