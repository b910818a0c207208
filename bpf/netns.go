package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// nsfsMagic is the file system of /proc/PID/ns and of what "ip netns" binds to names.
const nsfsMagic = 0x6e736673

// attachNetns puts an sk_lookup or flow_dissector program on a network namespace. A namespace runs several sk_lookup programs and
// one flow dissector. Requires at least Linux 5.9 (sk_lookup) and 5.7 (flow_dissector; from 4.20 without a link, and then only on
// the namespace of the calling thread).
func attachNetns(p *Program, t Target) (*Link, error) {
	ns, err := openNetns(t.Netns)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	name := t.Netns
	if name == "" {
		name = "own namespace"
	}
	l, err := link.AttachNetNs(int(ns.Fd()), p.prog)
	switch {
	case err == nil:
		made := newLink(l, name)
		made.mode = "link"
		return made, nil
	case errors.Is(err, unix.EEXIST), errors.Is(err, unix.EBUSY), errors.Is(err, unix.E2BIG):
		return nil, busyf("the namespace has a %s program already (bpftool net)", p.hook)
	case errors.Is(err, link.ErrNotSupported) && p.hook == HookFlowDissector && t.Netns == "":
		return attachFlowDissectorOld(p, name)
	}
	return nil, err
}

// openNetns opens a namespace by path, or by the name that "ip netns" knows it by.
func openNetns(name string) (*os.File, error) {
	path := name
	switch {
	case name == "":
		path = "/proc/thread-self/ns/net"
	case !strings.Contains(name, "/"):
		path = filepath.Join("/run/netns", name)
	}
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, badTarget("open network namespace: %w; give a name of \"ip netns\" or a path such as /proc/1/ns/net", err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || int64(uint32(st.Type)) != nsfsMagic {
		return nil, errors.Join(badTarget("%s is no network namespace; give for example /proc/1/ns/net", path), err, f.Close())
	}
	return f, nil
}

// attachFlowDissectorOld is for Linux 4.20 to 5.6.
func attachFlowDissectorOld(p *Program, name string) (*Link, error) {
	prog, err := p.prog.Clone()
	if err != nil {
		return nil, err
	}
	opts := link.RawAttachProgramOptions{Program: prog, Attach: ebpf.AttachFlowDissector}
	if err := link.RawAttachProgram(opts); err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = busyf("the namespace has a flow dissector already")
		}
		return nil, errors.Join(err, prog.Close())
	}
	return &Link{target: name, mode: "attach", undo: []func() error{func() error {
		err := link.RawDetachProgram(link.RawDetachProgramOptions(opts))
		if errors.Is(err, unix.ENOENT) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("flow dissector: %w", err)
		}
		return errors.Join(err, prog.Close())
	}}}, nil
}
