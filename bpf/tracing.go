package bpf

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachTracing runs a program at a tracepoint with typed arguments (tp_btf) or at the entry or return of a kernel function
// (fentry, fexit, fmod_ret, fsession). To what was settled when it was loaded. All need the kernel's BTF, all but tp_btf also
// trampolines. Requires at least Linux 5.5.
func attachTracing(p *Program, t Target) (*Link, error) {
	if t.Symbol != "" && t.Symbol != p.attachTo {
		return nil, badTarget("the program was loaded for %s; its section name decides, give no target", p.attachTo)
	}
	at := p.spec.AttachType
	if p.hook == HookFsession {
		at = ebpf.AttachNone
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: p.prog, AttachType: at, Cookie: t.Cookie})
	switch {
	case err == nil:
		return newLink(l, p.attachTo), nil
	case t.Cookie != 0 && tooOld(kernel.Version{Major: 5, Minor: 19}):
		return nil, noCookie(p.hook, "5.19", err)
	case errors.Is(err, unix.EBUSY):
		return nil, busyf("%s is traced by something that shares it with nobody (ftrace, live patches)", p.attachTo)
	case p.hook != HookTPBTF:
		if why := kernel.Trampolines(); why != nil {
			return nil, errors.Join(why, err)
		}
	}
	return nil, err
}
