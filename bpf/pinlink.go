package bpf

import (
	"errors"
	"fmt"
	"net"

	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// PinProgram keeps a program under a name. One that is taken matches [os.ErrExist].
func (d *PinDir) PinProgram(name string, p *Program) error {
	if !p.enter() {
		return p.closedError("pin")
	}
	defer p.leave()
	return d.pin(name, "program "+p.name, p.fd)
}

// OpenProgram opens a pinned program. The caller closes it. The kernel does not tell the section, nor to which event of a cgroup or to
// which function the program was made to be attached: where that matters, pin the link. A name that is not there matches
// [ErrNotFound], one of a map or a link [ErrType].
func (d *PinDir) OpenProgram(name string) (*Program, error) {
	pinned, err := d.open(name, nil)
	if err != nil {
		return nil, err
	}
	kp, ok := pinned.(*ebpf.Program)
	if !ok {
		return nil, d.wrongKind(name, pinned, "program")
	}
	p := &Program{name: name, prog: kp, fd: kp.FD(), spec: &ebpf.ProgramSpec{Name: name, Type: kp.Type()}}
	if info, err := kp.Info(); err == nil && info.Name != "" {
		p.name, p.spec.Name = info.Name, info.Name
	}
	p.hook, p.attachTo = hookOf(p.spec)
	return p, nil
}

// PinLink keeps a program attached under a name: closing the Link then does not detach it. Removing the name does when nobody else
// holds the link. Requires a way of attaching that the kernel has a single link for (see [Link.Mode]): else the error matches
// [ErrUnsupported]. A name that is taken matches [os.ErrExist].
func (d *PinDir) PinLink(name string, l *Link) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("pin %s: %w", l, errLinkClosed)
	}
	var fd interface{ FD() int }
	if len(l.raw) == 1 {
		fd, _ = l.raw[0].(interface{ FD() int })
	}
	if fd == nil {
		return fmt.Errorf("pin %s: %w", l, &UnsupportedError{
			Feature: "pinning what is attached without a single link", Need: "to be attached by a process that keeps running",
		})
	}
	return d.pin(name, l.String(), fd.FD())
}

// OpenLink opens a pinned link. The caller closes it, which leaves the program attached as long as the name is there. Its
// [Link.Program] is nil until [Link.Update] gives it another one; [Link.Info] tells the kernel's number of the program and the place.
// A name that is not there matches [ErrNotFound], one of a map or a program [ErrType].
func (d *PinDir) OpenLink(name string) (*Link, error) {
	pinned, err := d.open(name, nil)
	if err != nil {
		return nil, err
	}
	raw, ok := pinned.(link.Link)
	if !ok {
		return nil, d.wrongKind(name, pinned, "link")
	}
	info, err := linkInfo(raw)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open pin %q in %s: %w", name, d.path, err), raw.Close())
	}
	return &Link{raw: []link.Link{raw}, hook: info.hook(), target: info.place(), mode: "link"}, nil
}

// hook is the hook that a link is most likely on; the kernel does not tell all.
func (i *LinkInfo) hook() Hook {
	if h, ok := hookByAttachType[i.AttachType]; ok && i.AttachType != ebpf.AttachNone {
		return h
	}
	switch i.Kind {
	case LinkCgroup:
		if i.AttachType == ebpf.AttachCGroupSockOps {
			return HookSockOps
		}
	case LinkNetns:
		if i.AttachType == ebpf.AttachFlowDissector {
			return HookFlowDissector
		}
	case LinkSockmap:
		if i.AttachType == ebpf.AttachSkMsgVerdict {
			return HookSkMsg
		}
	}
	return map[LinkKind]Hook{
		LinkRawTracepoint: HookRawTracepoint, LinkTracing: HookFentry, LinkCgroup: HookCgroup, LinkIter: HookIter, LinkNetns: HookSkLookup,
		LinkXDP: HookXDP, LinkPerfEvent: HookPerfEvent, LinkKprobeMulti: HookKprobeMulti, LinkStructOps: HookStructOps,
		LinkNetfilter: HookNetfilter, LinkTCX: HookTCX, LinkUprobeMulti: HookUprobeMulti, LinkNetkit: HookNetkit, LinkSockmap: HookSkSKB,
	}[i.Kind]
}

// place names where a link is, for people.
func (i *LinkInfo) place() string {
	if i.Interface == 0 {
		return i.Name
	}
	if dev, err := net.InterfaceByIndex(int(i.Interface)); err == nil {
		return dev.Name
	}
	return "interface " + strconv.Itoa(int(i.Interface))
}
