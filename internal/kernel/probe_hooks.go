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

// hookTests asks where programs can be attached, by attaching for a moment to something that nobody runs through.
func (h *probeHost) hookTests() probeSet {
	n := probeNetwork()
	net := func(f func(*netProbe) error) func() error { return func() error { return f(n) } }
	return probeSet{id: "hooks", title: "hooks (attach)", tests: []probeTest{
		{name: "tracepoint", since: "4.7", caps: capsTrace, config: []string{"CONFIG_BPF_EVENTS"}, try: tryTracepoint},
		{name: "raw_tracepoint", since: "4.17", caps: capsTrace, config: []string{"CONFIG_BPF_EVENTS"}, try: tryRawTracepoint},
		{name: "tp_btf", since: "5.5", caps: capsTrace, config: []string{"CONFIG_DEBUG_INFO_BTF"}, try: tryTPBTF},
		{name: "iter", since: "5.8", caps: capsTrace, config: []string{"CONFIG_DEBUG_INFO_BTF"}, try: tryIter},
		{name: "perf_event", since: "4.9", caps: capsTrace, config: []string{"CONFIG_PERF_EVENTS"}, try: tryPerfEvent},
		{name: "kprobe", since: "4.1", caps: capsTrace, config: []string{"CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS"}, try: tryKprobe},
		{name: "kprobe.multi", since: "5.18", caps: capsTrace, config: []string{"CONFIG_FPROBE"}, try: features.HaveBPFLinkKprobeMulti},
		{name: "uprobe", since: "4.3", caps: capsTrace, config: []string{"CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS"}, try: tryUprobe},
		{name: "uprobe.multi", since: "6.6", caps: capsTrace, config: []string{"CONFIG_UPROBES"}, try: features.HaveBPFLinkUprobeMulti},
		{name: "fentry, fexit", since: "5.5", caps: capsTrace, try: Trampolines},
		{name: "lsm", since: "5.7", caps: capsTrace, config: []string{"CONFIG_BPF_LSM"}, try: tryLSM},
		{name: "struct_ops", since: "5.6", caps: capsTrace, try: tryStructOps},
		{name: "xdp native (veth)", since: "4.19", caps: capsNet, config: []string{"CONFIG_VETH"}, try: net((*netProbe).xdpNative)},
		{name: "xdp generic", since: "4.12", caps: capsNet, try: net((*netProbe).xdpGeneric)},
		{name: "tc (clsact)", since: "4.5", caps: capsNet, config: []string{"CONFIG_NET_CLS_BPF", "CONFIG_NET_SCH_INGRESS"}, try: net((*netProbe).clsact)},
		{name: "tcx", since: "6.6", caps: capsNet, config: []string{"CONFIG_NET_XGRESS"}, try: net((*netProbe).tcx)},
		{name: "netkit", since: "6.7", caps: capsNet, config: []string{"CONFIG_NETKIT"}, try: net((*netProbe).netkit)},
		{name: "netfilter", since: "6.4", caps: capsNet, config: []string{"CONFIG_NETFILTER_BPF_LINK"}, try: net((*netProbe).netfilter)},
		{name: "sk_lookup", since: "5.9", caps: capsNet, try: net((*netProbe).skLookup)},
		{name: "flow_dissector", since: "5.7", caps: capsNet, try: net((*netProbe).flowDissector)},
		{name: "cgroup", since: "5.7", caps: capsNet, config: []string{"CONFIG_CGROUP_BPF"}, try: tryCgroupLink},
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

// tryUprobe probes a function of this program that nobody calls.
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
	return tryLink(&ebpf.ProgramSpec{Type: ebpf.Kprobe}, func(p *ebpf.Program) (link.Link, error) {
		return exe.Uprobe("", p, &link.UprobeOptions{Address: offset})
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
	if errors.Is(Trampolines(), ErrUnsupported) {
		return errTrampoline
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
