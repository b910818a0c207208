package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// nsfsMagic is the file system of /proc/PID/ns and of what "ip netns" binds to names.
const nsfsMagic = 0x6e736673

// attachNetns puts a program on a network namespace.
func attachNetns(p *Program, t Target) (*Link, error) {
	ns, err := openNetns(t.Netns)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	l, err := link.AttachNetNs(int(ns.Fd()), p.prog)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.E2BIG) {
		return nil, busyf("the namespace has a %s program already (bpftool net)", p.hook)
	}
	if err != nil {
		return nil, err
	}
	made := newLink(l, netnsName(t.Netns))
	made.mode = "link"
	return made, nil
}

func netnsName(name string) string {
	if name == "" {
		return "own namespace"
	}
	return name
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
