package bpf

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachLSM runs a program at a hook of the security modules, section lsm/NAME. It refuses a kernel that was booted without "bpf"
// among its security modules: there attaching succeeds and the program never runs. Requires at least Linux 5.7 and trampolines.
func attachLSM(p *Program, t Target) (*Link, error) {
	if t.Symbol != "" && t.Symbol != p.attachTo {
		return nil, badTarget("the program was loaded for %s; its section name decides, give no target", p.attachTo)
	}
	if err := kernel.BPFLSM(); err != nil {
		return nil, err
	}
	l, err := link.AttachLSM(link.LSMOptions{Program: p.prog, Cookie: t.Cookie})
	if err != nil && t.Cookie != 0 && tooOld(kernel.Version{Major: 5, Minor: 19}) {
		return nil, noCookie(p.hook, "5.19", err)
	}
	if err != nil {
		if why := kernel.Trampolines(); why != nil {
			return nil, errors.Join(why, err)
		}
		return nil, err
	}
	return newLink(l, p.attachTo), nil
}

// attachLSMCgroup puts an LSM program on a cgroup. Requires at least Linux 6.0 and trampolines.
func attachLSMCgroup(p *Program, t Target) (*Link, error) {
	dir, err := openCgroup(t)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	l, err := linkCgroup(p, dir, ebpf.AttachLSMCgroup)
	if err != nil {
		if why := kernel.Trampolines(); why != nil {
			return nil, errors.Join(why, err)
		}
		return nil, err
	}
	l.target = t.Cgroup
	return l, nil
}
