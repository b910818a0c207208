package kernel

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// ProgramSince is the first Linux that has a type of programs, false if it is unknown.
func ProgramSince(t ebpf.ProgramType) (Version, bool) { return sinceOf(programFacts, t) }

// MapSince is the first Linux that has a type of maps, false if it is unknown.
func MapSince(t ebpf.MapType) (Version, bool) { return sinceOf(mapFacts, t) }

// HookSince is the first Linux that has a hook, such as "kprobe.multi", false if it is unknown. Program types with a
// hook in common may be younger, see [ProgramSince].
func HookSince(name string) (Version, bool) { return known(hookFacts[name].since) }

// AttachSince is the first Linux that has a hook and the means that are used to attach there, false if it is unknown:
// links for xdp and struct_ops, perf's own kprobes and uprobes, the clsact qdisc for tc. It is never older than
// [HookSince].
func AttachSince(name string) (Version, bool) {
	f := hookFacts[name]
	return known(cmp.Or(f.attach, f.since))
}

// HelperSince is the first Linux that has a helper function, such as "bpf_loop", false if it is unknown.
func HelperSince(name string) (Version, bool) { return known(helperSince(helperID(name))) }

func sinceOf[T comparable](facts []typeFacts[T], t T) (Version, bool) {
	i := slices.IndexFunc(facts, func(f typeFacts[T]) bool { return f.typ == t })
	if i < 0 {
		return Version{}, false
	}
	return known(facts[i].since)
}

// known reads a version of the tables below; false if there is none.
func known(since string) (Version, bool) {
	v, err := ParseVersion(since)
	return v, err == nil
}

// short is the form of the tables, "" for an unknown version.
func short(v Version, ok bool) string {
	if !ok {
		return ""
	}
	return v.Short()
}

// typeFacts is what is known about a program or map type without asking the kernel.
type typeFacts[T any] struct {
	typ T
	// since is the first version that has it.
	since string
	// caps are what the kernel asks of who loads or creates one.
	caps   []Cap
	config []string
}

var (
	capsBPF   = []Cap{CapBPF}
	capsTrace = []Cap{CapBPF, CapPerfmon}
	capsNet   = []Cap{CapBPF, CapNetAdmin}
	capsExt   = []Cap{CapBPF, CapPerfmon, CapNetAdmin}
)

// ProgramCaps lists what loading a program of a type takes, as the kernel's bpf_prog_load checks it from Linux 5.8 on; before, it takes
// CAP_SYS_ADMIN. Attaching may take more.
func ProgramCaps(t ebpf.ProgramType) []Cap { return capsOf(programFacts, t) }

// MapCaps lists what creating a map of a type takes; see [ProgramCaps].
func MapCaps(t ebpf.MapType) []Cap { return capsOf(mapFacts, t) }

func capsOf[T comparable](facts []typeFacts[T], t T) []Cap {
	if i := slices.IndexFunc(facts, func(f typeFacts[T]) bool { return f.typ == t }); i >= 0 {
		return facts[i].caps
	}
	return capsBPF
}

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
	{ebpf.Extension, "5.6", capsExt, []string{"CONFIG_DEBUG_INFO_BTF"}},
	{ebpf.LSM, "5.7", capsTrace, []string{"CONFIG_BPF_LSM"}},
	{ebpf.SkLookup, "5.9", capsBPF, nil},
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
	{ebpf.CPUMap, "4.15", capsBPF, nil},
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

// hookFacts says of each hook, by its name in package bpf, from which version on the kernel has it and, if that is
// later, from which version on it has what is used to attach there.
var hookFacts = map[string]struct{ since, attach string }{
	"xdp": {"4.8", "5.9"}, "tc": {"4.1", "4.5"}, "action": {since: "4.1"}, "tcx": {since: "6.6"}, "netkit": {since: "6.7"},
	"netfilter": {since: "6.4"}, "flow_dissector": {since: "4.20"}, "sk_lookup": {since: "5.9"}, "lwt": {since: "4.10"},
	"cgroup": {since: "4.10"}, "sockops": {since: "4.13"}, "sk_msg": {since: "4.17"}, "sk_skb": {since: "4.14"},
	"socket": {since: "3.19"}, "sk_reuseport": {since: "4.19"},
	"tracepoint": {since: "4.7"}, "raw_tracepoint": {since: "4.17"}, "tp_btf": {since: "5.5"},
	"fentry": {since: "5.5"}, "fexit": {since: "5.5"}, "fmod_ret": {since: "5.7"}, "fsession": {since: "7.0"},
	"freplace": {since: "5.6"},
	"kprobe":   {"4.1", "4.17"}, "kretprobe": {"4.1", "4.17"}, "ksyscall": {"4.1", "4.17"}, "kretsyscall": {"4.1", "4.17"},
	"kprobe.multi": {since: "5.18"}, "kretprobe.multi": {since: "5.18"}, "kprobe.session": {since: "6.10"},
	"uprobe": {"4.3", "4.17"}, "uretprobe": {"4.3", "4.17"}, "usdt": {"4.3", "4.17"},
	"uprobe.multi": {since: "6.6"}, "uretprobe.multi": {since: "6.6"}, "uprobe.session": {since: "6.13"},
	"perf_event": {since: "4.9"}, "lsm": {since: "5.7"}, "lsm_cgroup": {since: "6.0"}, "iter": {since: "5.8"},
	"struct_ops": {"5.6", "6.4"}, "syscall": {since: "5.14"}, "lirc": {since: "4.18"},
}

// What is no program, map, hook or helper.
const (
	btfSince        = "5.4" // /sys/kernel/btf/vmlinux
	globalDataSince = "5.2"
	kfuncSince      = "5.18" // 5.13 for struct_ops
)

// helperVersions says up to which number the helper functions exist from a version on. Numbers are given in order of
// merging, so a few boundaries describe them all.
var helperVersions = []struct {
	last  asm.BuiltinFunc
	since string
}{
	{3, "3.19"}, {11, "4.1"}, {16, "4.2"}, {22, "4.3"}, {25, "4.4"}, {26, "4.5"}, {30, "4.6"}, {36, "4.8"}, {41, "4.9"},
	{44, "4.10"}, {45, "4.11"}, {47, "4.12"}, {50, "4.13"}, {53, "4.14"}, {57, "4.15"}, {59, "4.16"}, {64, "4.17"},
	{80, "4.18"}, {83, "4.19"}, {90, "4.20"}, {92, "5.0"}, {98, "5.1"}, {108, "5.2"}, {109, "5.3"}, {110, "5.4"},
	{115, "5.5"}, {118, "5.6"}, {124, "5.7"}, {135, "5.8"}, {141, "5.9"}, {155, "5.10"}, {162, "5.11"}, {163, "5.12"},
	{165, "5.13"}, {168, "5.14"}, {175, "5.15"}, {179, "5.16"}, {185, "5.17"}, {193, "5.18"}, {203, "5.19"}, {207, "6.0"},
	{209, "6.1"}, {211, "6.2"},
}

// helperSince is the first version that has a helper function, empty if it is unknown.
func helperSince(fn asm.BuiltinFunc) string {
	for _, v := range helperVersions {
		if fn != asm.FnUnspec && fn <= v.last {
			return v.since
		}
	}
	return ""
}

// helperID finds a helper by its C name, [asm.FnUnspec] if there is none.
func helperID(name string) asm.BuiltinFunc {
	want := "Fn" + strings.ReplaceAll(strings.TrimPrefix(name, "bpf_"), "_", "")
	for fn := asm.FnUnspec + 1; fn <= helperVersions[len(helperVersions)-1].last; fn++ {
		if strings.EqualFold(fn.String(), want) {
			return fn
		}
	}
	return asm.FnUnspec
}
