package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachCgroup puts a program on a cgroup, where it also sees what happens in the cgroups below. Requires at
// least Linux 5.7 for a link; before (4.10, by kind later) it is attached beside others and detached by Close.
func attachCgroup(p *Program, t Target) (*Link, error) {
	at, err := cgroupAttachType(p, t)
	if err != nil {
		return nil, err
	}
	return attachToCgroup(p, t, at)
}

func attachToCgroup(p *Program, t Target, at ebpf.AttachType) (*Link, error) {
	dir, err := openCgroup(t)
	if err != nil {
		return nil, err
	}
	var l *Link
	if t.Place != PlaceAuto {
		l, err = placeOnCgroup(p, t, dir, at)
	} else {
		l, err = linkCgroup(p, dir, at)
	}
	if errors.Is(err, link.ErrNotSupported) && t.Place == PlaceAuto {
		l, err = attachCgroupOld(p, dir, at)
	}
	if err == nil && l.mode == "attach" {
		l.target = t.Cgroup
		return l, nil // it needs the directory to detach
	}
	dir.Close()
	if err != nil {
		return nil, cgroupRefused(err)
	}
	l.target = t.Cgroup
	return l, nil
}

func openCgroup(t Target) (*os.File, error) {
	if t.Cgroup == "" {
		return nil, noTarget("cgroup", `"web" for a group below the root of cgroup v2, "." for the root itself, or an absolute path`)
	}
	dir, err := kernel.OpenCgroup(t.Cgroup)
	switch {
	case err == nil:
		return dir, nil
	case errors.Is(err, kernel.ErrUnsupported), errors.Is(err, kernel.ErrPermission):
		return nil, err
	}
	return nil, badTarget("%w", err)
}

func linkCgroup(p *Program, dir *os.File, at ebpf.AttachType) (*Link, error) {
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: p.prog, Attach: at})
	if err != nil {
		return nil, err
	}
	made := newLink(l, "")
	made.mode = "link"
	return made, nil
}

// attachCgroupOld is for kernels without cgroup links; the link owns dir.
func attachCgroupOld(p *Program, dir *os.File, at ebpf.AttachType) (*Link, error) {
	clone, err := p.prog.Clone() // detaching names the program, which may be closed first
	if err != nil {
		return nil, err
	}
	opts := link.RawAttachProgramOptions{Target: int(dir.Fd()), Program: clone, Attach: at, Flags: unix.BPF_F_ALLOW_MULTI}
	err = link.RawAttachProgram(opts)
	if errors.Is(err, link.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
		opts.Flags = unix.BPF_F_ALLOW_OVERRIDE // before Linux 4.15
		err = link.RawAttachProgram(opts)
	}
	if err != nil {
		return nil, errors.Join(err, clone.Close())
	}
	return &Link{mode: "attach", undo: []func() error{func() error {
		err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(dir.Fd()), Program: clone, Attach: at})
		if errors.Is(err, unix.ENOENT) {
			err = nil // the cgroup was removed
		}
		return errors.Join(err, clone.Close(), dir.Close())
	}}}, nil
}

// cgroupRefused tells a missing privilege from a cgroup above whose program lets no other run.
func cgroupRefused(err error) error {
	caps, capErr := kernel.Capabilities()
	if errors.Is(err, unix.EPERM) && capErr == nil && len(caps.Missing(kernel.CapBPF, kernel.CapNetAdmin)) == 0 {
		return fmt.Errorf("%w: %w: a program of this kind that forbids others is attached here or above (bpftool cgroup tree)", ErrBusy, err)
	}
	return err
}

// cgroupAttachType is the kind of event; section names that leave it open mean what libbpf takes them to mean.
func cgroupAttachType(p *Program, t Target) (ebpf.AttachType, error) {
	if p.spec.Type == ebpf.CGroupSKB {
		named := p.spec.AttachType
		open := p.attachTo == "skb" || p.attachTo == ""
		switch {
		case open && t.Direction == Egress:
			return ebpf.AttachCGroupInetEgress, nil
		case open && (t.Direction == DirectionAuto || t.Direction == Ingress):
			return ebpf.AttachCGroupInetIngress, nil
		case t.Direction == DirectionAuto,
			t.Direction == Ingress && named == ebpf.AttachCGroupInetIngress,
			t.Direction == Egress && named == ebpf.AttachCGroupInetEgress:
			return named, nil
		}
		return 0, badTarget("section %s does not see %s packets; give the cgroup without a direction", p.section, t.Direction)
	}
	if p.spec.AttachType != ebpf.AttachNone {
		return p.spec.AttachType, nil
	}
	switch p.spec.Type {
	case ebpf.CGroupSock:
		return ebpf.AttachCGroupInetSockCreate, nil
	case ebpf.CGroupDevice:
		return ebpf.AttachCGroupDevice, nil
	case ebpf.CGroupSysctl:
		return ebpf.AttachCGroupSysctl, nil
	}
	return 0, fmt.Errorf("%w: section %q does not say to which event of a cgroup; use for example cgroup/connect4", ErrType, p.section)
}
