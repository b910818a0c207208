package bpf

import (
	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// asLoaded is a program as this process on this kernel has to load it. It copies what it changes.
func (l *loader) asLoaded(p *ebpf.ProgramSpec) *ebpf.ProgramSpec {
	if p.Type != ebpf.Kprobe {
		return p
	}
	changed := *p
	const ask = 0xFFFFFFFE // libbpf's number for "the running kernel"
	if p.KernelVersion == 0 || p.KernelVersion == ask {
		changed.KernelVersion = kernel.VersionCode()
	}
	if l.byMulti(p) {
		changed.AttachType = ebpf.AttachTraceUprobeMulti
	}
	return &changed
}

// byMulti reports whether a program for uprobes is loaded for uprobe.multi's way of attaching.
func (l *loader) byMulti(p *ebpf.ProgramSpec) bool {
	switch hook, _ := hookOf(p); hook {
	case HookUprobe, HookUretprobe, HookUSDT:
		return l.uprobesByMulti
	}
	return false
}

// wantMulti reports whether uprobes are to be attached as uprobe.multi does it, which a program must be loaded for. From Linux 6.10 on
// that does the same (before, it could take a thread for a process), and the kernel gives up many such links at once; those of perf one
// after the other, each with a wait of 100 ms. From 6.6 on it is taken without CAP_SYS_ADMIN, because newer kernels (6.16, and older ones
// with its fix) open a uprobe of perf only with it, whereas uprobe.multi needs no more than the program does. Objects with program
// arrays are left alone, because the kernel does not let both kinds of program into one.
func wantMulti(coll *ebpf.CollectionSpec) bool {
	for _, m := range coll.Maps {
		if m.Type == ebpf.ProgramArray {
			return false
		}
	}
	if kernel.Running().AtLeast(6, 10) {
		return true
	}
	caps, err := kernel.Capabilities()
	return err == nil && !caps.Has(kernel.CapSysAdmin) && kernel.Running().AtLeast(6, 6)
}
