package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attachTC puts a program of section tc or classifier on an interface: as tcx where the kernel has it (Linux 6.6), else as a
// direct-action filter of a clsact qdisc (Linux 4.5), which is what the link's mode tells.
func attachTC(p *Program, t Target) (*Link, error) {
	index, dir, err := packetTarget(p, t)
	if err != nil {
		return nil, err
	}
	l, err := linkTCX(p, t, index, dir)
	if errors.Is(err, link.ErrNotSupported) {
		return attachClsact(p, t, index, dir)
	}
	return l, err
}

// attachAction explains programs of section action, which belong to a filter and have no place of their own.
func attachAction(p *Program, _ Target) (*Link, error) {
	return nil, fmt.Errorf("%w: an action belongs to a filter: use section tc, or name it in a filter of tc(8) by its pin", ErrType)
}

// clsact is one filter of ours. It keeps the netlink socket it was made with, so that it is removed in the same namespace.
type clsact struct {
	h       *netlink.Handle
	filter  *netlink.BpfFilter
	qdisc   *netlink.Clsact
	ours    bool // the qdisc
	program int
}

func attachClsact(p *Program, t Target, index int, dir Direction) (*Link, error) {
	info, err := p.prog.Info()
	if err != nil {
		return nil, err
	}
	id, ok := info.ID()
	if !ok {
		return nil, errors.New("the kernel does not tell the program's number")
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	c := &clsact{h: h, program: int(id)}
	if err := c.add(p, index, dir); err != nil {
		h.Close()
		return nil, err
	}
	return &Link{target: t.Interface + ":" + string(dir), mode: "clsact", undo: []func() error{c.remove}}, nil
}

func (c *clsact) add(p *Program, index int, dir Direction) error {
	c.qdisc = &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	err := c.h.QdiscAdd(c.qdisc)
	c.ours = err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact qdisc: %w", err)
	}
	parent := uint32(netlink.HANDLE_MIN_INGRESS)
	if dir == Egress {
		parent = netlink.HANDLE_MIN_EGRESS
	}
	before, err := c.filters(index, parent)
	if err == nil {
		// With no handle and no priority the kernel picks free ones; what is new afterwards is ours.
		err = c.h.FilterAdd(&netlink.BpfFilter{
			FilterAttrs:  netlink.FilterAttrs{LinkIndex: index, Parent: parent, Protocol: unix.ETH_P_ALL},
			Fd:           p.prog.FD(),
			Name:         p.name,
			DirectAction: true,
		})
	}
	if err == nil {
		err = c.find(before, index, parent)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("add bpf filter: %w", err), c.removeQdisc())
	}
	return nil
}

func (c *clsact) find(before []*netlink.BpfFilter, index int, parent uint32) error {
	after, err := c.filters(index, parent)
	if err != nil {
		return err
	}
	for _, f := range after {
		if f.Id == c.program && !hasFilter(before, f) {
			c.filter = f
			return nil
		}
	}
	return errors.New("the filter is not there after it was added")
}

func hasFilter(filters []*netlink.BpfFilter, f *netlink.BpfFilter) bool {
	for _, b := range filters {
		if b.Handle == f.Handle && b.Priority == f.Priority {
			return true
		}
	}
	return false
}

func (c *clsact) filters(index int, parent uint32) ([]*netlink.BpfFilter, error) {
	all, err := c.h.FilterList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}}, parent)
	if err != nil {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	var found []*netlink.BpfFilter
	for _, f := range all {
		if b, ok := f.(*netlink.BpfFilter); ok {
			found = append(found, b)
		}
	}
	return found, nil
}

// remove takes away our filter, and the qdisc if we made it and nobody else uses it now.
func (c *clsact) remove() error {
	defer c.h.Close()
	index := c.filter.LinkIndex
	now, err := c.filters(index, c.filter.Parent)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) {
		return nil // the interface or its qdisc is gone, and our filter with it
	}
	if err != nil {
		return err
	}
	for _, f := range now {
		if f.Handle == c.filter.Handle && f.Priority == c.filter.Priority && f.Id == c.program {
			if err := c.h.FilterDel(c.filter); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("remove bpf filter: %w", err)
			}
		}
	}
	return c.removeQdisc()
}

func (c *clsact) removeQdisc() error {
	if !c.ours {
		return nil
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		left, err := c.h.FilterList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: c.qdisc.LinkIndex}}, parent)
		if err != nil || len(left) > 0 {
			return nil // others use it, or it is gone
		}
	}
	if err := c.h.QdiscDel(c.qdisc); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove clsact qdisc: %w", err)
	}
	return nil
}
