package bpf

import (
	"strings"

	"github.com/cilium/ebpf"
)

// Hook names a place of the kernel where a program can run. It is what the section name of a program says,
// without variants that attach the same way (sleepable ".s", writable ".w", XDP ".frags") and with old names mapped to today's.
type Hook string

// The hooks. The version after each is the first Linux that has it.
const (
	HookNone          Hook = ""                // section name that says nothing about where to attach
	HookXDP           Hook = "xdp"             // 4.8; link 5.9
	HookTC            Hook = "tc"              // 4.1; by tcx where the kernel has it (6.6)
	HookTCAction      Hook = "action"          // 4.1
	HookTCX           Hook = "tcx"             // 6.6
	HookNetkit        Hook = "netkit"          // 6.7
	HookCgroup        Hook = "cgroup"          // 4.10 and later, by kind; link 5.7
	HookSockOps       Hook = "sockops"         // 4.13
	HookSkMsg         Hook = "sk_msg"          // 4.17
	HookSkSKB         Hook = "sk_skb"          // 4.14
	HookSkLookup      Hook = "sk_lookup"       // 5.9
	HookSocket        Hook = "socket"          // 3.19
	HookSkReuseport   Hook = "sk_reuseport"    // 4.19
	HookFlowDissector Hook = "flow_dissector"  // 4.20; link 5.7
	HookTracepoint    Hook = "tracepoint"      // 4.7
	HookRawTracepoint Hook = "raw_tracepoint"  // 4.17
	HookTPBTF         Hook = "tp_btf"          // 5.5
	HookFentry        Hook = "fentry"          // 5.5
	HookFexit         Hook = "fexit"           // 5.5
	HookFmodRet       Hook = "fmod_ret"        // 5.7
	HookFsession      Hook = "fsession"        // 7.0
	HookFreplace      Hook = "freplace"        // 5.6
	HookKprobe        Hook = "kprobe"          // 4.1
	HookKretprobe     Hook = "kretprobe"       // 4.1
	HookKsyscall      Hook = "ksyscall"        // 4.1
	HookKretsyscall   Hook = "kretsyscall"     // 4.1
	HookKprobeMulti   Hook = "kprobe.multi"    // 5.18
	HookKretMulti     Hook = "kretprobe.multi" // 5.18
	HookKprobeSession Hook = "kprobe.session"  // 6.10
	HookUprobe        Hook = "uprobe"          // 4.3
	HookUretprobe     Hook = "uretprobe"       // 4.3
	HookUprobeMulti   Hook = "uprobe.multi"    // 6.6
	HookUretMulti     Hook = "uretprobe.multi" // 6.6
	HookUprobeSession Hook = "uprobe.session"  // 6.13
	HookUSDT          Hook = "usdt"            // 4.3; semaphores 4.20
	HookPerfEvent     Hook = "perf_event"      // 4.9
	HookLSM           Hook = "lsm"             // 5.7
	HookLSMCgroup     Hook = "lsm_cgroup"      // 6.0
	HookIter          Hook = "iter"            // 5.8
	HookNetfilter     Hook = "netfilter"       // 6.4
	HookStructOps     Hook = "struct_ops"      // 5.6; link 6.4
	HookSyscall       Hook = "syscall"         // 5.14
	HookLWT           Hook = "lwt"             // 4.10
	HookLirc          Hook = "lirc"            // 4.18
)

// matching says how a section name is compared with a section's rule.
type matching uint8

const (
	exact  matching = iota // the part before the first "/" must be equal; the rest says where to attach
	prefix                 // the section name starts so; what follows a "/" is only a label
)

// sectionRule maps section names to hooks. The order matters: the first that fits wins.
type sectionRule struct {
	name  string
	hook  Hook
	match matching
	// to is the attach-to part for rules whose name contains it.
	to string
}

// sectionRules has every section name that cilium/ebpf 0.22 and libbpf 1.x know, in the same order of precedence.
var sectionRules = []sectionRule{
	{"socket", HookSocket, prefix, ""},
	{"sk_reuseport/migrate", HookSkReuseport, prefix, "migrate"},
	{"sk_reuseport", HookSkReuseport, prefix, ""},
	{"kprobe", HookKprobe, exact, ""},
	{"uprobe", HookUprobe, exact, ""},
	{"uprobe.s", HookUprobe, exact, ""},
	{"kretprobe", HookKretprobe, exact, ""},
	{"uretprobe", HookUretprobe, exact, ""},
	{"uretprobe.s", HookUretprobe, exact, ""},
	{"kprobe.multi", HookKprobeMulti, exact, ""},
	{"kretprobe.multi", HookKretMulti, exact, ""},
	{"kprobe.session", HookKprobeSession, exact, ""},
	{"uprobe.multi", HookUprobeMulti, exact, ""},
	{"uprobe.multi.s", HookUprobeMulti, exact, ""},
	{"uretprobe.multi", HookUretMulti, exact, ""},
	{"uretprobe.multi.s", HookUretMulti, exact, ""},
	{"uprobe.session", HookUprobeSession, exact, ""},
	{"uprobe.session.s", HookUprobeSession, exact, ""},
	{"ksyscall", HookKsyscall, exact, ""},
	{"kretsyscall", HookKretsyscall, exact, ""},
	{"usdt", HookUSDT, exact, ""},
	{"usdt.s", HookUSDT, exact, ""},
	{"tc/ingress", HookTC, prefix, "ingress"},
	{"tc/egress", HookTC, prefix, "egress"},
	{"tcx/ingress", HookTCX, prefix, "ingress"},
	{"tcx/egress", HookTCX, prefix, "egress"},
	{"tc", HookTC, prefix, ""},
	{"classifier", HookTC, prefix, ""},
	{"action", HookTCAction, prefix, ""},
	{"netkit/primary", HookNetkit, prefix, "primary"},
	{"netkit/peer", HookNetkit, prefix, "peer"},
	{"tracepoint", HookTracepoint, exact, ""},
	{"tp", HookTracepoint, exact, ""},
	{"raw_tracepoint", HookRawTracepoint, exact, ""},
	{"raw_tp", HookRawTracepoint, exact, ""},
	{"raw_tracepoint.w", HookRawTracepoint, exact, ""},
	{"raw_tp.w", HookRawTracepoint, exact, ""},
	{"tp_btf", HookTPBTF, exact, ""},
	{"fentry", HookFentry, exact, ""},
	{"fentry.s", HookFentry, exact, ""},
	{"fmod_ret", HookFmodRet, exact, ""},
	{"fmod_ret.s", HookFmodRet, exact, ""},
	{"fexit", HookFexit, exact, ""},
	{"fexit.s", HookFexit, exact, ""},
	{"fsession", HookFsession, exact, ""},
	{"fsession.s", HookFsession, exact, ""},
	{"freplace", HookFreplace, exact, ""},
	{"lsm", HookLSM, exact, ""},
	{"lsm.s", HookLSM, exact, ""},
	{"lsm_cgroup", HookLSMCgroup, exact, ""},
	{"iter", HookIter, exact, ""},
	{"iter.s", HookIter, exact, ""},
	{"syscall", HookSyscall, prefix, ""},
	{"xdp.frags/devmap", HookXDP, prefix, "devmap"},
	{"xdp/devmap", HookXDP, prefix, "devmap"},
	{"xdp.frags/cpumap", HookXDP, prefix, "cpumap"},
	{"xdp/cpumap", HookXDP, prefix, "cpumap"},
	{"xdp", HookXDP, prefix, ""},
	{"perf_event", HookPerfEvent, prefix, ""},
	{"lwt_in", HookLWT, prefix, "in"},
	{"lwt_out", HookLWT, prefix, "out"},
	{"lwt_xmit", HookLWT, prefix, "xmit"},
	{"lwt_seg6local", HookLWT, prefix, "seg6local"},
	{"sockops", HookSockOps, prefix, ""},
	{"sk_skb/stream_parser", HookSkSKB, prefix, "stream_parser"},
	{"sk_skb/stream_verdict", HookSkSKB, prefix, "stream_verdict"},
	{"sk_skb/verdict", HookSkSKB, prefix, "verdict"},
	{"sk_skb", HookSkSKB, prefix, ""},
	{"sk_msg", HookSkMsg, prefix, ""},
	{"lirc_mode2", HookLirc, prefix, ""},
	{"flow_dissector", HookFlowDissector, prefix, ""},
	{"cgroup_skb/ingress", HookCgroup, prefix, "skb/ingress"},
	{"cgroup_skb/egress", HookCgroup, prefix, "skb/egress"},
	{"cgroup", HookCgroup, exact, ""},
	{"struct_ops", HookStructOps, exact, ""},
	{"struct_ops.s", HookStructOps, exact, ""},
	{"sk_lookup", HookSkLookup, prefix, ""},
	{"netfilter", HookNetfilter, prefix, ""},
}

// hookOf says where a program attaches and the part of its section name that names the thing to attach to ("do_unlinkat",
// "syscalls/sys_enter_execve", "/bin/bash:readline", "connect4"). A spec without a known section is judged by its type.
func hookOf(spec *ebpf.ProgramSpec) (Hook, string) {
	hook, to, ok := hookOfSection(spec.SectionName)
	if !ok {
		hook = hookOfType(spec.Type, spec.AttachType)
	}
	if spec.AttachTo != "" {
		to = spec.AttachTo
	}
	return hook, to
}

// hookOfSection reports the hook and the attach-to part of a section name.
func hookOfSection(section string) (Hook, string, bool) {
	section = strings.TrimPrefix(section, "?") // libbpf: "do not load by default"
	head, rest, _ := strings.Cut(section, "/")
	for _, r := range sectionRules {
		switch r.match {
		case exact:
			if head == r.name {
				return r.hook, rest, true
			}
		case prefix:
			if strings.HasPrefix(section, r.name) {
				return r.hook, r.to, true
			}
		}
	}
	return HookNone, "", false
}

// hookOfType is the hook of a program whose section name tells nothing.
func hookOfType(t ebpf.ProgramType, a ebpf.AttachType) Hook {
	if h, ok := hookByAttachType[a]; ok && a != ebpf.AttachNone {
		return h
	}
	return hookByType[t]
}

var hookByAttachType = map[ebpf.AttachType]Hook{
	ebpf.AttachTraceRawTp:         HookTPBTF,
	ebpf.AttachTraceFEntry:        HookFentry,
	ebpf.AttachTraceFExit:         HookFexit,
	ebpf.AttachModifyReturn:       HookFmodRet,
	ebpf.AttachTraceIter:          HookIter,
	ebpf.AttachTraceKprobeMulti:   HookKprobeMulti,
	ebpf.AttachTraceKprobeSession: HookKprobeSession,
	ebpf.AttachTraceUprobeMulti:   HookUprobeMulti,
	ebpf.AttachTCXIngress:         HookTCX,
	ebpf.AttachTCXEgress:          HookTCX,
	ebpf.AttachNetkitPrimary:      HookNetkit,
	ebpf.AttachNetkitPeer:         HookNetkit,
	ebpf.AttachLSMCgroup:          HookLSMCgroup,
}

var hookByType = map[ebpf.ProgramType]Hook{
	ebpf.SocketFilter:          HookSocket,
	ebpf.Kprobe:                HookKprobe,
	ebpf.SchedCLS:              HookTC,
	ebpf.SchedACT:              HookTCAction,
	ebpf.TracePoint:            HookTracepoint,
	ebpf.XDP:                   HookXDP,
	ebpf.PerfEvent:             HookPerfEvent,
	ebpf.CGroupSKB:             HookCgroup,
	ebpf.CGroupSock:            HookCgroup,
	ebpf.CGroupDevice:          HookCgroup,
	ebpf.CGroupSockAddr:        HookCgroup,
	ebpf.CGroupSysctl:          HookCgroup,
	ebpf.CGroupSockopt:         HookCgroup,
	ebpf.LWTIn:                 HookLWT,
	ebpf.LWTOut:                HookLWT,
	ebpf.LWTXmit:               HookLWT,
	ebpf.LWTSeg6Local:          HookLWT,
	ebpf.SockOps:               HookSockOps,
	ebpf.SkSKB:                 HookSkSKB,
	ebpf.SkMsg:                 HookSkMsg,
	ebpf.RawTracepoint:         HookRawTracepoint,
	ebpf.RawTracepointWritable: HookRawTracepoint,
	ebpf.LircMode2:             HookLirc,
	ebpf.SkReuseport:           HookSkReuseport,
	ebpf.FlowDissector:         HookFlowDissector,
	ebpf.StructOps:             HookStructOps,
	ebpf.Extension:             HookFreplace,
	ebpf.LSM:                   HookLSM,
	ebpf.SkLookup:              HookSkLookup,
	ebpf.Syscall:               HookSyscall,
	ebpf.Netfilter:             HookNetfilter,
}
