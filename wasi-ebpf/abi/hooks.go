package abi

// Hook is one kind of place that a program can be attached to: which section names mean it, and which fields of a target it reads.
type Hook struct {
	// Name is what the host calls it.
	Name string
	// Sections are examples of section names.
	Sections string
	// Fields are the fields of the structure target that it reads, those that it needs with a "!".
	Fields []string
	// Kernel is the first Linux on which programs can be attached to it.
	Kernel string
	// Update, Detach and Pin are the first Linux on which link_update, link_detach while others hold the link, and pin work. Empty
	// means never.
	Update, Detach, Pin string
	Doc                 string
}

// Hooks lists every hook. Each call returns a new slice.
func Hooks() []Hook {
	return []Hook{
		{"xdp", "xdp, xdp.frags", []string{"name!", "mode"}, "5.9", "5.9", "5.9", "5.9", "name is an interface. Section xdp.frags also takes packets of several buffers (5.18)."},
		{"tc", "tc, classifier, tc/ingress, tc/egress", []string{"name!", "direction", "place", "anchor"}, "4.5", "6.6", "6.6", "6.6", "name is an interface. By tcx where the kernel has it (6.6), else by a clsact filter, without place."},
		{"tcx", "tcx/ingress, tcx/egress", []string{"name!", "direction", "place", "anchor"}, "6.6", "6.6", "6.6", "6.6", "name is an interface."},
		{"netkit", "netkit/primary, netkit/peer", []string{"name!", "direction", "place", "anchor"}, "6.7", "6.7", "6.7", "6.7", "name is the primary device of a netkit pair."},
		{"cgroup", "cgroup_skb/ingress, cgroup_skb/egress, cgroup/skb, cgroup/sock, cgroup/sock_create, cgroup/sock_release, cgroup/post_bind4, cgroup/post_bind6, cgroup/bind4, cgroup/bind6, cgroup/connect4, cgroup/connect6, cgroup/connect_unix, cgroup/sendmsg4, cgroup/sendmsg6, cgroup/sendmsg_unix, cgroup/recvmsg4, cgroup/recvmsg6, cgroup/recvmsg_unix, cgroup/getpeername4, cgroup/getpeername6, cgroup/getpeername_unix, cgroup/getsockname4, cgroup/getsockname6, cgroup/getsockname_unix, cgroup/sysctl, cgroup/getsockopt, cgroup/setsockopt, cgroup/dev", []string{"name!", "direction"}, "4.10", "5.7", "5.9", "5.7", "name is a cgroup. direction is for cgroup/skb whose section does not say it."},
		{"sockops", "sockops", []string{"name!"}, "4.13", "5.7", "5.9", "5.7", "name is a cgroup."},
		{"lsm_cgroup", "lsm_cgroup/HOOK", []string{"name!"}, "6.0", "6.0", "6.0", "6.0", "name is a cgroup."},
		{"sk_msg", "sk_msg", []string{"map!"}, "4.17", "6.10", "6.10", "6.10", "map is a sockmap or sockhash."},
		{"sk_skb", "sk_skb/stream_parser, sk_skb/stream_verdict, sk_skb/verdict", []string{"map!"}, "4.14", "6.10", "6.10", "6.10", "map is a sockmap or sockhash."},
		{"sk_lookup", "sk_lookup", []string{"name"}, "5.9", "5.9", "5.9", "5.9", "name is a network namespace; empty is the host's own."},
		{"flow_dissector", "flow_dissector", []string{"name"}, "4.20", "5.8", "5.9", "5.8", "name is a network namespace; empty is the host's own."},
		{"socket", "socket", []string{"socket!"}, "3.19", "", "", "", ""},
		{"sk_reuseport", "sk_reuseport, sk_reuseport/migrate", []string{"socket!"}, "4.19", "", "", "", "socket is one of the group."},
		{"tracepoint", "tracepoint/CATEGORY/NAME, tp/...", []string{"symbol", "cookie"}, "4.7", "", "", "5.15", "symbol is \"category/name\"."},
		{"raw_tracepoint", "raw_tracepoint/NAME, raw_tp/NAME", []string{"symbol", "cookie"}, "4.17", "", "", "5.7", "symbol is the tracepoint's name."},
		{"tp_btf", "tp_btf/NAME", []string{"cookie"}, "5.5", "", "", "5.7", "The section, or object_set_attach_target, says where."},
		{"fentry", "fentry/FUNCTION, fentry.s/FUNCTION", []string{"cookie"}, "5.5", "", "", "5.7", "The section, or object_set_attach_target, says where."},
		{"fexit", "fexit/FUNCTION, fexit.s/FUNCTION", []string{"cookie"}, "5.5", "", "", "5.7", "The section, or object_set_attach_target, says where."},
		{"fmod_ret", "fmod_ret/FUNCTION, fmod_ret.s/FUNCTION", []string{"cookie"}, "5.7", "", "", "5.7", "The section, or object_set_attach_target, says where."},
		{"fsession", "fsession/FUNCTION", []string{"cookie"}, "7.0", "", "", "7.0", "The section, or object_set_attach_target, says where."},
		{"freplace", "freplace/FUNCTION", []string{"program"}, "5.6", "", "", "5.7", "program is the one whose function is replaced; none means the one that was set before the load."},
		{"lsm", "lsm/HOOK, lsm.s/HOOK", []string{"cookie"}, "5.7", "", "", "5.7", "Needs \"bpf\" in the kernel's list of security modules."},
		{"kprobe", "kprobe/FUNCTION", []string{"symbol", "offset", "cookie"}, "4.17", "", "", "5.15", ""},
		{"kretprobe", "kretprobe/FUNCTION", []string{"symbol", "offset", "cookie"}, "4.17", "", "", "5.15", ""},
		{"ksyscall", "ksyscall/CALL", []string{"symbol", "cookie"}, "4.17", "", "", "5.15", "symbol is a system call, such as \"openat\"."},
		{"kretsyscall", "kretsyscall/CALL", []string{"symbol", "cookie"}, "4.17", "", "", "5.15", "symbol is a system call."},
		{"kprobe.multi", "kprobe.multi/PATTERN", []string{"symbol", "cookie"}, "5.18", "", "", "5.18", "symbol is a pattern or names separated by commas."},
		{"kretprobe.multi", "kretprobe.multi/PATTERN", []string{"symbol", "cookie"}, "5.18", "", "", "5.18", "As kprobe.multi."},
		{"kprobe.session", "kprobe.session/PATTERN", []string{"symbol", "cookie"}, "6.10", "", "", "6.10", "As kprobe.multi."},
		{"uprobe", "uprobe/FILE:FUNCTION, uprobe.s/...", []string{"name", "symbol", "offset", "pid", "cookie"}, "4.17", "", "", "5.15", "name is a program or library; a bare name such as \"libc.so.6\" is looked up."},
		{"uretprobe", "uretprobe/FILE:FUNCTION", []string{"name", "symbol", "offset", "pid", "cookie"}, "4.17", "", "", "5.15", "As uprobe."},
		{"uprobe.multi", "uprobe.multi/FILE:PATTERN", []string{"name", "symbol", "offset", "pid", "cookie"}, "6.6", "", "", "6.6", "symbol is a pattern or names separated by commas."},
		{"uretprobe.multi", "uretprobe.multi/FILE:PATTERN", []string{"name", "symbol", "offset", "pid", "cookie"}, "6.6", "", "", "6.6", "As uprobe.multi."},
		{"uprobe.session", "uprobe.session/FILE:PATTERN", []string{"name", "symbol", "offset", "pid", "cookie"}, "6.13", "", "", "6.13", "As uprobe.multi."},
		{"usdt", "usdt/FILE:PROVIDER:NAME", []string{"name", "symbol", "pid", "cookie"}, "4.17", "", "", "", "symbol is \"provider:name\". Semaphores need Linux 4.20."},
		{"perf_event", "perf_event", []string{"perf_type", "perf_config", "frequency", "period", "pid", "cookie"}, "4.9", "", "", "", "Without perf_type the CPU clock, on every CPU, at 99 samples a second unless frequency or period say otherwise. One link for each CPU."},
		{"iter", "iter/KIND, iter.s/KIND", []string{"map", "pid", "name"}, "5.8", "5.8", "", "5.8", "map for iterators over the entries of a map; pid for task iterators of one process (6.1); name for a cgroup (6.1)."},
		{"netfilter", "netfilter", []string{"family", "chain", "priority"}, "6.4", "", "6.4", "6.4", "Each program in a chain needs a priority of its own."},
		{"struct_ops", "struct_ops/MEMBER", []string{"map"}, "6.4", "", "6.11", "6.4", "Registers the struct_ops map of the program; map says which if the object has several. Needs section .struct_ops.link."},
		{"lirc", "lirc_mode2", []string{"name!"}, "4.18", "", "", "", "name is a device, such as /dev/lirc0."},
		{"syscall", "syscall", nil, "5.14", "", "", "", "Cannot be attached: program_test_run runs it."},
		{"lwt", "lwt_in, lwt_out, lwt_xmit, lwt_seg6local", nil, "4.10", "", "", "", "Cannot be attached here: ip-route(8) does it, by the pin of the program."},
		{"action", "action", nil, "4.1", "", "", "", "Cannot be attached here: a filter of tc(8) runs it, by the pin of the program."},
	}
}
