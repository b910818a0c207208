package kernel

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// typeFacts is what is known about a program or map type without asking the kernel.
type typeFacts[T any] struct {
	typ    T
	since  string
	caps   []Cap
	config []string
}

var (
	capsBPF   = []Cap{CapBPF}
	capsTrace = []Cap{CapBPF, CapPerfmon}
	capsNet   = []Cap{CapBPF, CapNetAdmin}
)

// programFacts lists every program type of cilium/ebpf's features package, oldest first.
var programFacts = []typeFacts[ebpf.ProgramType]{
	{ebpf.SocketFilter, "3.19", capsBPF, nil},
	{ebpf.Kprobe, "4.1", capsTrace, []string{"CONFIG_BPF_EVENTS"}},
	{ebpf.SchedCLS, "4.1", capsNet, nil},
	{ebpf.SchedACT, "4.1", capsNet, nil},
	{ebpf.TracePoint, "4.7", capsTrace, []string{"CONFIG_BPF_EVENTS"}},
	{ebpf.XDP, "4.8", capsNet, nil},
	{ebpf.PerfEvent, "4.9", capsTrace, []string{"CONFIG_BPF_EVENTS"}},
	{ebpf.CGroupSKB, "4.10", capsBPF, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.CGroupSock, "4.10", capsNet, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.LWTIn, "4.10", capsNet, []string{"CONFIG_LWTUNNEL_BPF"}},
	{ebpf.LWTOut, "4.10", capsNet, []string{"CONFIG_LWTUNNEL_BPF"}},
	{ebpf.LWTXmit, "4.10", capsNet, []string{"CONFIG_LWTUNNEL_BPF"}},
	{ebpf.SockOps, "4.13", capsNet, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.SkSKB, "4.14", capsNet, []string{"CONFIG_BPF_STREAM_PARSER"}},
	{ebpf.CGroupDevice, "4.15", capsNet, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.SkMsg, "4.17", capsNet, []string{"CONFIG_BPF_STREAM_PARSER"}},
	{ebpf.RawTracepoint, "4.17", capsTrace, []string{"CONFIG_BPF_EVENTS"}},
	{ebpf.CGroupSockAddr, "4.17", capsNet, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.LWTSeg6Local, "4.18", capsNet, []string{"CONFIG_IPV6_SEG6_BPF"}},
	{ebpf.LircMode2, "4.18", capsNet, []string{"CONFIG_BPF_LIRC_MODE2"}},
	{ebpf.SkReuseport, "4.19", capsBPF, nil},
	{ebpf.FlowDissector, "4.20", capsNet, nil},
	{ebpf.CGroupSysctl, "5.2", capsNet, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.RawTracepointWritable, "5.2", capsTrace, []string{"CONFIG_BPF_EVENTS"}},
	{ebpf.CGroupSockopt, "5.3", capsNet, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.Tracing, "5.5", capsTrace, []string{"CONFIG_DEBUG_INFO_BTF"}},
	{ebpf.StructOps, "5.6", capsTrace, []string{"CONFIG_DEBUG_INFO_BTF"}},
	{ebpf.Extension, "5.6", capsTrace, []string{"CONFIG_DEBUG_INFO_BTF"}},
	{ebpf.LSM, "5.7", capsTrace, []string{"CONFIG_BPF_LSM"}},
	{ebpf.SkLookup, "5.9", capsNet, nil},
	{ebpf.Syscall, "5.14", capsBPF, nil},
	{ebpf.Netfilter, "6.4", capsNet, []string{"CONFIG_NETFILTER_BPF_LINK"}},
}

// mapFacts lists every map type of cilium/ebpf's features package, oldest first.
var mapFacts = []typeFacts[ebpf.MapType]{
	{ebpf.Hash, "3.19", capsBPF, nil},
	{ebpf.Array, "3.19", capsBPF, nil},
	{ebpf.ProgramArray, "4.2", capsBPF, nil},
	{ebpf.PerfEventArray, "4.3", capsBPF, []string{"CONFIG_PERF_EVENTS"}},
	{ebpf.PerCPUHash, "4.6", capsBPF, nil},
	{ebpf.PerCPUArray, "4.6", capsBPF, nil},
	{ebpf.StackTrace, "4.6", capsBPF, []string{"CONFIG_PERF_EVENTS"}},
	{ebpf.CGroupArray, "4.8", capsBPF, []string{"CONFIG_CGROUPS"}},
	{ebpf.LRUHash, "4.10", capsBPF, nil},
	{ebpf.LRUCPUHash, "4.10", capsBPF, nil},
	{ebpf.LPMTrie, "4.11", capsBPF, nil},
	{ebpf.ArrayOfMaps, "4.12", capsBPF, nil},
	{ebpf.HashOfMaps, "4.12", capsBPF, nil},
	{ebpf.DevMap, "4.14", capsNet, nil},
	{ebpf.SockMap, "4.14", capsNet, []string{"CONFIG_BPF_STREAM_PARSER"}},
	{ebpf.CPUMap, "4.15", capsNet, nil},
	{ebpf.XSKMap, "4.18", capsNet, []string{"CONFIG_XDP_SOCKETS"}},
	{ebpf.SockHash, "4.18", capsNet, []string{"CONFIG_BPF_STREAM_PARSER"}},
	{ebpf.CGroupStorage, "4.19", capsBPF, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.ReusePortSockArray, "4.19", capsBPF, nil},
	{ebpf.PerCPUCGroupStorage, "4.20", capsBPF, []string{"CONFIG_CGROUP_BPF"}},
	{ebpf.Queue, "4.20", capsBPF, nil},
	{ebpf.Stack, "4.20", capsBPF, nil},
	{ebpf.SkStorage, "5.2", capsBPF, nil},
	{ebpf.DevMapHash, "5.4", capsNet, nil},
	{ebpf.StructOpsMap, "5.6", capsBPF, []string{"CONFIG_DEBUG_INFO_BTF"}},
	{ebpf.RingBuf, "5.8", capsBPF, nil},
	{ebpf.InodeStorage, "5.10", capsBPF, []string{"CONFIG_BPF_LSM"}},
	{ebpf.TaskStorage, "5.11", capsBPF, nil},
	{ebpf.BloomFilter, "5.16", capsBPF, nil},
	{ebpf.UserRingbuf, "6.1", capsBPF, nil},
	{ebpf.CgroupStorage, "6.2", capsBPF, []string{"CONFIG_CGROUPS"}},
	{ebpf.Arena, "6.9", capsBPF, nil},
}

// programTests asks for every program type.
func programTests() probeSet {
	s := probeSet{id: "programs", title: "program types (load)"}
	for _, f := range programFacts {
		try := func() error { return features.HaveProgramType(f.typ) }
		switch f.typ {
		case ebpf.Tracing:
			try = tryTPBTF // a trampoline is a question of its own
		case ebpf.Extension, ebpf.LSM:
			try = func() error { return afterTrampoline(features.HaveProgramType(f.typ)) }
		}
		s.tests = append(s.tests, probeTest{name: f.typ.String(), since: f.since, caps: f.caps, config: f.config, try: try})
	}
	return s
}

// afterTrampoline names the reason when a type that needs trampolines is refused.
func afterTrampoline(err error) error {
	if err != nil && errors.Is(Trampolines(), ErrUnsupported) {
		return errTrampoline
	}
	return err
}

// mapTests asks for every map type.
func mapTests() probeSet {
	s := probeSet{id: "maps", title: "map types"}
	for _, f := range mapFacts {
		s.tests = append(s.tests, probeTest{name: f.typ.String(), since: f.since, caps: f.caps, config: f.config,
			try: func() error { return features.HaveMapType(f.typ) }})
	}
	return s
}

// featureTests asks for what programs use besides their types.
func featureTests() probeSet {
	helper := func(pt ebpf.ProgramType, fn asm.BuiltinFunc) func() error {
		return func() error { return features.HaveProgramHelper(pt, fn) }
	}
	ring := func(t ebpf.MapType) func() error { return func() error { return features.HaveMapType(t) } }
	return probeSet{id: "features", title: "features", tests: []probeTest{
		{name: "kernel BTF (CO-RE)", since: "5.2", config: []string{"CONFIG_DEBUG_INFO_BTF"}, try: BTF},
		{name: "ring buffer", since: "5.8", caps: capsBPF, try: ring(ebpf.RingBuf)},
		{name: "user ring buffer", since: "6.1", caps: capsBPF, try: ring(ebpf.UserRingbuf)},
		{name: "arena", since: "6.9", caps: capsBPF, try: ring(ebpf.Arena)},
		{name: "mmapable arrays", since: "5.5", caps: capsBPF, try: func() error { return features.HaveMapFlag(features.BPF_F_MMAPABLE) }},
		{name: "more than 4096 instructions", since: "5.2", caps: capsBPF, try: features.HaveLargeInstructions},
		{name: "bounded loops", since: "5.3", caps: capsBPF, try: features.HaveBoundedLoops},
		{name: "instruction set v3", since: "5.1", caps: capsBPF, try: features.HaveV3ISA},
		{name: "instruction set v4", since: "6.6", caps: capsBPF, try: features.HaveV4ISA},
		{name: "bpf_probe_read_kernel", since: "5.5", caps: capsTrace, try: helper(ebpf.TracePoint, asm.FnProbeReadKernel)},
		{name: "bpf_get_attach_cookie", since: "5.15", caps: capsTrace, try: helper(ebpf.TracePoint, asm.FnGetAttachCookie)},
		{name: "bpf_timer", since: "5.15", caps: capsNet, try: helper(ebpf.XDP, asm.FnTimerInit)},
		{name: "bpf_loop", since: "5.17", caps: capsTrace, try: helper(ebpf.TracePoint, asm.FnLoop)},
		{name: "dynptr", since: "5.19", caps: capsTrace, try: helper(ebpf.TracePoint, asm.FnDynptrFromMem)},
		{name: "bpf_fib_lookup", since: "4.18", caps: capsNet, try: helper(ebpf.XDP, asm.FnFibLookup)},
		{name: "bpf_redirect_peer", since: "5.10", caps: capsNet, try: helper(ebpf.SchedCLS, asm.FnRedirectPeer)},
		{name: "AF_XDP sockets", since: "4.18", caps: []Cap{CapNetRaw}, config: []string{"CONFIG_XDP_SOCKETS"}, try: tryXDPSocket},
	}}
}

// tryXDPSocket opens a socket of the family that carries frames to user space.
func tryXDPSocket() error {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
