package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// noInterface is an interface number that does not exist: a kernel that knows the kind of link answers ENODEV.
const noInterface = 0x7ffffff0

// noDescriptor is a file descriptor that is not open.
const noDescriptor = 1 << 24

// linkSince is the first version with links to cgroups and network namespaces, which is what is tried for them here.
const linkSince = "5.7"

// hookTests asks where programs can be attached, by attaching for a moment to something that nobody runs through.
func (h *probeHost) hookTests() probeSet {
	n := probeNetwork()
	attach := func(hook string) string { return short(AttachSince(hook)) }
	net := func(f func(*netProbe) error) func() error { return func() error { return f(n) } }
	return probeSet{id: "hooks", title: "hooks (attach)", tests: []probeTest{
		{name: "tracepoint", since: attach("tracepoint"), caps: capsTrace, config: []string{"CONFIG_BPF_EVENTS"}, try: tryTracepoint},
		{name: "raw_tracepoint", since: attach("raw_tracepoint"), caps: capsTrace, config: []string{"CONFIG_BPF_EVENTS"}, try: tryRawTracepoint},
		{name: "tp_btf", since: attach("tp_btf"), caps: capsTrace, config: []string{"CONFIG_DEBUG_INFO_BTF"}, try: tryTPBTF},
		{name: "iter", since: attach("iter"), caps: capsTrace, config: []string{"CONFIG_DEBUG_INFO_BTF"}, try: tryIter},
		{name: "perf_event", since: attach("perf_event"), caps: capsTrace, config: []string{"CONFIG_PERF_EVENTS"}, try: tryPerfEvent},
		{name: "kprobe", since: attach("kprobe"), caps: capsTrace, config: []string{"CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS"}, try: tryKprobe},
		{name: "kprobe.multi", since: attach("kprobe.multi"), caps: capsTrace, config: []string{"CONFIG_FPROBE"}, try: features.HaveBPFLinkKprobeMulti},
		{name: "uprobe", since: attach("uprobe"), caps: capsTrace, config: []string{"CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS"}, try: tryUprobe},
		{name: "uprobe.multi", since: attach("uprobe.multi"), caps: capsTrace, config: []string{"CONFIG_UPROBES"}, try: features.HaveBPFLinkUprobeMulti},
		{name: "fentry, fexit", since: attach("fentry"), caps: capsTrace, try: Trampolines},
		{name: "lsm", since: attach("lsm"), caps: capsTrace, config: []string{"CONFIG_BPF_LSM"}, try: tryLSM},
		{name: "struct_ops", since: short(HookSince("struct_ops")), caps: capsTrace, try: tryStructOps},
		{name: "xdp native (veth)", since: attach("xdp"), caps: capsNet, config: []string{"CONFIG_VETH"}, try: net((*netProbe).xdpNative)},
		{name: "xdp generic", since: attach("xdp"), caps: capsNet, try: net((*netProbe).xdpGeneric)},
		{name: "tc (clsact)", since: attach("tc"), caps: capsNet, config: []string{"CONFIG_NET_CLS_BPF", "CONFIG_NET_SCH_INGRESS"}, try: net((*netProbe).clsact)},
		{name: "tcx", since: attach("tcx"), caps: capsNet, config: []string{"CONFIG_NET_XGRESS"}, try: net((*netProbe).tcx)},
		{name: "netkit", since: attach("netkit"), caps: capsNet, config: []string{"CONFIG_NETKIT"}, try: net((*netProbe).netkit)},
		{name: "netfilter", since: attach("netfilter"), caps: capsNet, config: []string{"CONFIG_NETFILTER_BPF_LINK"}, try: net((*netProbe).netfilter)},
		{name: "sk_lookup", since: attach("sk_lookup"), caps: capsNet, try: net((*netProbe).skLookup)},
		{name: "flow_dissector", since: linkSince, caps: capsNet, try: net((*netProbe).flowDissector)},
		{name: "cgroup", since: linkSince, caps: capsNet, config: []string{"CONFIG_CGROUP_BPF"}, try: tryCgroupLink},
	}}
}

// tryTracepoint opens a tracepoint as a perf event, which needs its number out of tracefs, and puts a program on it.
func tryTracepoint() error {
	fs, err := Tracefs()
	if err != nil {
		return err
	}
	defer fs.Close()
	b, err := fs.ReadFile("events/sched/sched_process_exec/id")
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		return fmt.Errorf("read the tracepoint's id: %w", err)
	}
	return tryOnPerfEvent(&ebpf.ProgramSpec{Type: ebpf.TracePoint},
		&unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1, Wakeup: 1})
}

// tryPerfEvent puts a program on a clock event that never starts.
func tryPerfEvent() error {
	return tryOnPerfEvent(&ebpf.ProgramSpec{Type: ebpf.PerfEvent},
		&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Sample: 1 << 40})
}

func tryOnPerfEvent(spec *ebpf.ProgramSpec, attr *unix.PerfEventAttr) error {
	p, err := loadProbe(spec)
	if err != nil {
		return err
	}
	defer p.Close()
	attr.Bits |= unix.PerfBitDisabled
	fd, err := unix.PerfEventOpen(attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("perf_event_open: %w", err)
	}
	err = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, p.FD())
	return errors.Join(err, unix.Close(fd))
}

func tryRawTracepoint() error {
	return tryLink(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint}, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sched_process_exec", Program: p})
	})
}

func tryTPBTF() error {
	if err := BTF(); err != nil {
		return err
	}
	spec := &ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sched_process_exec"}
	return tryLink(spec, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachTracing(link.TracingOptions{Program: p, AttachType: ebpf.AttachTraceRawTp})
	})
}

func tryIter() error {
	if err := BTF(); err != nil {
		return err
	}
	spec := &ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "task"}
	return tryLink(spec, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachIter(link.IterOptions{Program: p})
	})
}

// tryKprobe probes a function that runs once in the life of a kernel.
func tryKprobe() error {
	if err := Kprobes(); err != nil {
		return err
	}
	return tryLink(&ebpf.ProgramSpec{Type: ebpf.Kprobe}, func(p *ebpf.Program) (link.Link, error) {
		return link.Kprobe("kernel_power_off", p, nil)
	})
}

// tryUprobe probes a function of this program that nobody calls: as perf does it, or as uprobe.multi where perf wants CAP_SYS_ADMIN.
func tryUprobe() error {
	if err := Uprobes(); err != nil {
		return err
	}
	offset, err := fileOffset(reflect.ValueOf(probeLanding).Pointer())
	if err != nil {
		return err
	}
	exe, err := link.OpenExecutable("/proc/self/exe")
	if err != nil {
		return err
	}
	err = tryLink(&ebpf.ProgramSpec{Type: ebpf.Kprobe}, func(p *ebpf.Program) (link.Link, error) {
		return exe.Uprobe("", p, &link.UprobeOptions{Address: offset})
	})
	caps, capErr := Capabilities()
	if !errors.Is(err, unix.EACCES) || capErr != nil || caps.Has(CapSysAdmin) {
		return err
	}
	if !Running().AtLeast(6, 6) {
		return &Denied{What: "uprobe", Capability: CapSysAdmin.String(), Cause: err}
	}
	multi := &ebpf.ProgramSpec{Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti}
	return tryLink(multi, func(p *ebpf.Program) (link.Link, error) {
		return exe.UprobeMulti(nil, p, &link.UprobeMultiOptions{Addresses: []uint64{offset}})
	})
}

// probeLanding is where tryUprobe puts its probe.
//
//go:noinline
func probeLanding() {}

// fileOffset is where the code at an address of this process lies in its executable file.
func fileOffset(addr uintptr) (uint64, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var start, end, offset uint64
		var perm string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x", &start, &end, &perm, &offset); n == 4 &&
			start <= uint64(addr) && uint64(addr) < end {
			return uint64(addr) - start + offset, nil
		}
	}
	return 0, fmt.Errorf("address %#x is in no mapping", addr)
}

// tryLSM loads an LSM program. That it loads is not enough: without "bpf" among the modules it never runs.
func tryLSM() error {
	if err := BPFLSM(); errors.Is(err, ErrUnsupported) {
		return err
	}
	if err := Trampolines(); errors.Is(err, ErrUnsupported) {
		return fmt.Errorf("%w: %w", errTrampoline, err)
	}
	return tryLoad(&ebpf.ProgramSpec{Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "file_mprotect"})
}

func tryStructOps() error {
	return features.HaveMapType(ebpf.StructOpsMap)
}

// tryCgroupLink asks for a link to a cgroup that is not there: a kernel that has such links says so.
func tryCgroupLink() error {
	spec := &ebpf.ProgramSpec{Type: ebpf.CGroupSKB, AttachType: ebpf.AttachCGroupInetIngress}
	err := tryLink(spec, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachRawLink(link.RawLinkOptions{Target: noDescriptor, Program: p, Attach: ebpf.AttachCGroupInetIngress})
	})
	if errors.Is(err, unix.EBADF) {
		return nil
	}
	return err
}

// tryLink loads a program, attaches it and takes it away again.
func tryLink(spec *ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) error {
	p, err := loadProbe(spec)
	if err != nil {
		return err
	}
	defer p.Close()
	l, err := attach(p)
	if err != nil {
		return err
	}
	return l.Close()
}

// tryLoad loads a program and lets it go.
func tryLoad(spec *ebpf.ProgramSpec) error {
	p, err := loadProbe(spec)
	if err != nil {
		return err
	}
	return p.Close()
}
