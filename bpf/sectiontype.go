package bpf

import (
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// sectionType says what a section name means for loading.
type sectionType struct {
	name   string
	typ    ebpf.ProgramType
	attach ebpf.AttachType
	// extra says that what follows a "/" names the place to attach to; else it is only a label.
	extra bool
	flags uint32
}

const (
	sleepable = unix.BPF_F_SLEEPABLE
	frags     = unix.BPF_F_XDP_HAS_FRAGS
)

// What cilium/ebpf has no names for: BPF_TRACE_UPROBE_SESSION and BPF_TRACE_FSESSION.
const (
	attachUprobeSession = ebpf.AttachType(57)
	attachFsession      = ebpf.AttachType(58)
)

// sectionTypes has the section names of cilium/ebpf 0.22 and libbpf, in their order: the first that fits wins. The library keeps
// its own table to itself.
var sectionTypes = []sectionType{
	{"socket", ebpf.SocketFilter, 0, false, 0},
	{"sk_reuseport/migrate", ebpf.SkReuseport, ebpf.AttachSkReuseportSelectOrMigrate, false, 0},
	{"sk_reuseport", ebpf.SkReuseport, ebpf.AttachSkReuseportSelect, false, 0},
	{"kprobe", ebpf.Kprobe, 0, true, 0},
	{"uprobe", ebpf.Kprobe, 0, true, 0},
	{"uprobe.s", ebpf.Kprobe, 0, true, sleepable},
	{"kretprobe", ebpf.Kprobe, 0, true, 0},
	{"uretprobe", ebpf.Kprobe, 0, true, 0},
	{"uretprobe.s", ebpf.Kprobe, 0, true, sleepable},
	{"kprobe.multi", ebpf.Kprobe, ebpf.AttachTraceKprobeMulti, true, 0},
	{"kretprobe.multi", ebpf.Kprobe, ebpf.AttachTraceKprobeMulti, true, 0},
	{"kprobe.session", ebpf.Kprobe, ebpf.AttachTraceKprobeSession, true, 0},
	{"uprobe.multi", ebpf.Kprobe, ebpf.AttachTraceUprobeMulti, true, 0},
	{"uretprobe.multi", ebpf.Kprobe, ebpf.AttachTraceUprobeMulti, true, 0},
	{"uprobe.session", ebpf.Kprobe, attachUprobeSession, true, 0},
	{"uprobe.multi.s", ebpf.Kprobe, ebpf.AttachTraceUprobeMulti, true, sleepable},
	{"uretprobe.multi.s", ebpf.Kprobe, ebpf.AttachTraceUprobeMulti, true, sleepable},
	{"uprobe.session.s", ebpf.Kprobe, attachUprobeSession, true, sleepable},
	{"ksyscall", ebpf.Kprobe, 0, true, 0},
	{"kretsyscall", ebpf.Kprobe, 0, true, 0},
	{"usdt", ebpf.Kprobe, 0, true, 0},
	{"usdt.s", ebpf.Kprobe, 0, true, sleepable},
	{"tc/ingress", ebpf.SchedCLS, ebpf.AttachTCXIngress, false, 0},
	{"tc/egress", ebpf.SchedCLS, ebpf.AttachTCXEgress, false, 0},
	{"tcx/ingress", ebpf.SchedCLS, ebpf.AttachTCXIngress, false, 0},
	{"tcx/egress", ebpf.SchedCLS, ebpf.AttachTCXEgress, false, 0},
	{"tc", ebpf.SchedCLS, 0, false, 0},
	{"classifier", ebpf.SchedCLS, 0, false, 0},
	{"action", ebpf.SchedACT, 0, false, 0},
	{"netkit/primary", ebpf.SchedCLS, ebpf.AttachNetkitPrimary, false, 0},
	{"netkit/peer", ebpf.SchedCLS, ebpf.AttachNetkitPeer, false, 0},
	{"tracepoint", ebpf.TracePoint, 0, true, 0},
	{"tp", ebpf.TracePoint, 0, true, 0},
	{"raw_tracepoint", ebpf.RawTracepoint, 0, true, 0},
	{"raw_tp", ebpf.RawTracepoint, 0, true, 0},
	{"raw_tracepoint.w", ebpf.RawTracepointWritable, 0, true, 0},
	{"raw_tp.w", ebpf.RawTracepointWritable, 0, true, 0},
	{"tp_btf", ebpf.Tracing, ebpf.AttachTraceRawTp, true, 0},
	{"fentry", ebpf.Tracing, ebpf.AttachTraceFEntry, true, 0},
	{"fmod_ret", ebpf.Tracing, ebpf.AttachModifyReturn, true, 0},
	{"fexit", ebpf.Tracing, ebpf.AttachTraceFExit, true, 0},
	{"fentry.s", ebpf.Tracing, ebpf.AttachTraceFEntry, true, sleepable},
	{"fmod_ret.s", ebpf.Tracing, ebpf.AttachModifyReturn, true, sleepable},
	{"fexit.s", ebpf.Tracing, ebpf.AttachTraceFExit, true, sleepable},
	{"fsession", ebpf.Tracing, attachFsession, true, 0},
	{"fsession.s", ebpf.Tracing, attachFsession, true, sleepable},
	{"freplace", ebpf.Extension, 0, true, 0},
	{"lsm", ebpf.LSM, ebpf.AttachLSMMac, true, 0},
	{"lsm.s", ebpf.LSM, ebpf.AttachLSMMac, true, sleepable},
	{"lsm_cgroup", ebpf.LSM, ebpf.AttachLSMCgroup, true, 0},
	{"iter", ebpf.Tracing, ebpf.AttachTraceIter, true, 0},
	{"iter.s", ebpf.Tracing, ebpf.AttachTraceIter, true, sleepable},
	{"syscall", ebpf.Syscall, 0, false, sleepable},
	{"xdp.frags/devmap", ebpf.XDP, ebpf.AttachXDPDevMap, false, frags},
	{"xdp/devmap", ebpf.XDP, ebpf.AttachXDPDevMap, false, 0},
	{"xdp.frags/cpumap", ebpf.XDP, ebpf.AttachXDPCPUMap, false, frags},
	{"xdp/cpumap", ebpf.XDP, ebpf.AttachXDPCPUMap, false, 0},
	{"xdp.frags", ebpf.XDP, ebpf.AttachXDP, false, frags},
	{"xdp", ebpf.XDP, ebpf.AttachXDP, false, 0},
	{"perf_event", ebpf.PerfEvent, 0, false, 0},
	{"lwt_in", ebpf.LWTIn, 0, false, 0},
	{"lwt_out", ebpf.LWTOut, 0, false, 0},
	{"lwt_xmit", ebpf.LWTXmit, 0, false, 0},
	{"lwt_seg6local", ebpf.LWTSeg6Local, 0, false, 0},
	{"sockops", ebpf.SockOps, ebpf.AttachCGroupSockOps, false, 0},
	{"sk_skb/stream_parser", ebpf.SkSKB, ebpf.AttachSkSKBStreamParser, false, 0},
	{"sk_skb/stream_verdict", ebpf.SkSKB, ebpf.AttachSkSKBStreamVerdict, false, 0},
	{"sk_skb/verdict", ebpf.SkSKB, ebpf.AttachSkSKBVerdict, false, 0},
	{"sk_skb", ebpf.SkSKB, 0, false, 0},
	{"sk_msg", ebpf.SkMsg, ebpf.AttachSkMsgVerdict, false, 0},
	{"lirc_mode2", ebpf.LircMode2, ebpf.AttachLircMode2, false, 0},
	{"flow_dissector", ebpf.FlowDissector, ebpf.AttachFlowDissector, false, 0},
	{"cgroup_skb/ingress", ebpf.CGroupSKB, ebpf.AttachCGroupInetIngress, false, 0},
	{"cgroup_skb/egress", ebpf.CGroupSKB, ebpf.AttachCGroupInetEgress, false, 0},
	{"cgroup/skb", ebpf.CGroupSKB, 0, false, 0},
	{"cgroup/sock_create", ebpf.CGroupSock, ebpf.AttachCGroupInetSockCreate, false, 0},
	{"cgroup/sock_release", ebpf.CGroupSock, ebpf.AttachCgroupInetSockRelease, false, 0},
	{"cgroup/sock", ebpf.CGroupSock, ebpf.AttachCGroupInetSockCreate, false, 0},
	{"cgroup/post_bind4", ebpf.CGroupSock, ebpf.AttachCGroupInet4PostBind, false, 0},
	{"cgroup/post_bind6", ebpf.CGroupSock, ebpf.AttachCGroupInet6PostBind, false, 0},
	{"cgroup/bind4", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Bind, false, 0},
	{"cgroup/bind6", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet6Bind, false, 0},
	{"cgroup/connect4", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Connect, false, 0},
	{"cgroup/connect6", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet6Connect, false, 0},
	{"cgroup/connect_unix", ebpf.CGroupSockAddr, ebpf.AttachCgroupUnixConnect, false, 0},
	{"cgroup/sendmsg4", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP4Sendmsg, false, 0},
	{"cgroup/sendmsg6", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP6Sendmsg, false, 0},
	{"cgroup/sendmsg_unix", ebpf.CGroupSockAddr, ebpf.AttachCgroupUnixSendmsg, false, 0},
	{"cgroup/recvmsg4", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP4Recvmsg, false, 0},
	{"cgroup/recvmsg6", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP6Recvmsg, false, 0},
	{"cgroup/recvmsg_unix", ebpf.CGroupSockAddr, ebpf.AttachCgroupUnixRecvmsg, false, 0},
	{"cgroup/getpeername4", ebpf.CGroupSockAddr, ebpf.AttachCgroupInet4GetPeername, false, 0},
	{"cgroup/getpeername6", ebpf.CGroupSockAddr, ebpf.AttachCgroupInet6GetPeername, false, 0},
	{"cgroup/getpeername_unix", ebpf.CGroupSockAddr, ebpf.AttachCgroupUnixGetpeername, false, 0},
	{"cgroup/getsockname4", ebpf.CGroupSockAddr, ebpf.AttachCgroupInet4GetSockname, false, 0},
	{"cgroup/getsockname6", ebpf.CGroupSockAddr, ebpf.AttachCgroupInet6GetSockname, false, 0},
	{"cgroup/getsockname_unix", ebpf.CGroupSockAddr, ebpf.AttachCgroupUnixGetsockname, false, 0},
	{"cgroup/sysctl", ebpf.CGroupSysctl, ebpf.AttachCGroupSysctl, false, 0},
	{"cgroup/getsockopt", ebpf.CGroupSockopt, ebpf.AttachCGroupGetsockopt, false, 0},
	{"cgroup/setsockopt", ebpf.CGroupSockopt, ebpf.AttachCGroupSetsockopt, false, 0},
	{"cgroup/dev", ebpf.CGroupDevice, ebpf.AttachCGroupDevice, false, 0},
	{"struct_ops", ebpf.StructOps, 0, true, 0},
	{"struct_ops.s", ebpf.StructOps, 0, true, sleepable},
	{"sk_lookup", ebpf.SkLookup, ebpf.AttachSkLookup, false, 0},
	{"netfilter", ebpf.Netfilter, ebpf.AttachNetfilter, false, 0},
}

// typeOfSection reports what a section name means for loading, and what it names as the place to attach to.
func typeOfSection(section string) (sectionType, string, bool) {
	section = strings.TrimPrefix(section, "?")
	head, rest, _ := strings.Cut(section, "/")
	for _, t := range sectionTypes {
		if t.extra {
			if head == t.name {
				return t, rest, true
			}
		} else if strings.HasPrefix(section, t.name) {
			return t, "", true
		}
	}
	return sectionType{}, "", false
}
