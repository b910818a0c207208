package policy

import "strings"

// shape says what the target of a grant looks like.
type shape uint8

const (
	noTarget       shape = iota
	ifaceShape           // @eth1
	netnsShape           // @/run/netns/x; @. is the host's own
	symbolShape          // :tcp_sendmsg
	eventShape           // :sched/sched_switch
	cgroupShape          // :/web/api, below the root of cgroup v2
	pathShape            // :/dev/lirc0
	dirShape             // :/var/log, with :rw behind it to write
	binaryShape          // :/bin/bash:readline
	usdtShape            // :/usr/bin/python3:python:gc__start
	netfilterShape       // :ipv4/forward
)

// paths reports whether "*" in a target of that shape stops at "/".
func (s shape) paths() bool {
	switch s {
	case netnsShape, eventShape, cgroupShape, pathShape, dirShape, binaryShape, usdtShape:
		return true
	}
	return false
}

// example is the target that messages show.
func (s shape) example() string {
	return [...]string{"", "@eth1", "@/run/netns/x", ":NAME", ":sched/*", ":/web/*", ":/dev/lirc0", ":/var/log:rw", ":/bin/bash:readline",
		":/usr/bin/python3:python:gc__start", ":ipv4/forward"}[s]
}

// head is the word that a grant begins with: what it is about.
type head struct {
	name  string
	shape shape
	// needsTarget says that the word alone is not a grant.
	needsTarget bool
	// exact says that the target takes no wildcards.
	exact bool
	// subs are the kinds that may follow with a slash, as in cgroup/connect4; "*" for any.
	subs string
	// kind is the action that it grants.
	kind Kind
	// also are hooks that are granted with it: the same power in other words.
	also []string
	// programs are the types of program that may be loaded with it, maps the types of map that may be created.
	programs, maps []string
	// doc says what the grant allows.
	doc string
}

var heads = [...]head{
	// Network devices.
	{name: "xdp", shape: ifaceShape, kind: Attach, programs: []string{"xdp"}, doc: "see, change and drop what an interface receives"},
	{name: "tc", shape: ifaceShape, subs: "ingress egress", kind: Attach, also: []string{"tcx"}, programs: []string{"sched_cls"}, doc: "see, change and drop what an interface receives and sends"},
	{name: "tcx", shape: ifaceShape, subs: "ingress egress", kind: Attach, also: []string{"tc"}, programs: []string{"sched_cls"}, doc: "the same as tc"},
	{name: "netkit", shape: ifaceShape, subs: "primary peer", kind: Attach, programs: []string{"sched_cls"}, doc: "see, change and drop what a netkit pair carries"},
	{name: "netfilter", shape: netfilterShape, kind: Attach, programs: []string{"netfilter"}, doc: "see and drop packets in a chain of the firewall"},
	{name: "sk_lookup", shape: netnsShape, kind: Attach, programs: []string{"sk_lookup"}, maps: []string{"sockmap", "sockhash"}, doc: "choose the socket for new connections of a network namespace"},
	{name: "flow_dissector", shape: netnsShape, kind: Attach, programs: []string{"flow_dissector"}, doc: "parse packets for the kernel in a network namespace"},
	// Sockets.
	{name: "socket", kind: Attach, programs: []string{"socket_filter"}, doc: "see and drop what a socket receives; socket-of says whose"},
	{name: "sk_reuseport", kind: Attach, programs: []string{"sk_reuseport"}, maps: []string{"reuseport_sockarray"}, doc: "choose a socket out of a group; socket-of says whose"},
	{name: "sk_msg", kind: Attach, programs: []string{"sk_msg"}, maps: []string{"sockmap", "sockhash"}, doc: "see and redirect what sockets in the plugin's socket map send"},
	{name: "sk_skb", subs: "stream_parser stream_verdict verdict", kind: Attach, programs: []string{"sk_skb"}, maps: []string{"sockmap", "sockhash"}, doc: "see and redirect what sockets in the plugin's socket map receive"},
	// Control groups.
	{name: "cgroup", shape: cgroupShape, subs: cgroupKinds, kind: Attach, programs: []string{"cgroup_skb", "cgroup_sock", "cgroup_sock_addr", "cgroup_device", "cgroup_sysctl", "cgroup_sockopt"}, doc: "decide about traffic, sockets, devices and sysctls of a control group"},
	{name: "sockops", shape: cgroupShape, kind: Attach, programs: []string{"sock_ops"}, doc: "see and tune TCP connections of a control group"},
	{name: "lsm_cgroup", shape: cgroupShape, subs: "*", kind: Attach, programs: []string{"lsm"}, doc: "decide what processes of a control group may do"},
	// Tracing.
	{name: "tracepoint", shape: eventShape, kind: Attach, programs: []string{"tracepoint"}, doc: "see an event of the kernel"},
	{name: "raw_tracepoint", shape: symbolShape, kind: Attach, programs: []string{"raw_tracepoint"}, doc: "see an event of the kernel with its raw arguments"},
	{name: "tp_btf", shape: symbolShape, kind: Attach, programs: []string{"tracing"}, doc: "see an event of the kernel and the structures that it is about"},
	{name: "kprobe", shape: symbolShape, kind: Attach, also: []string{"kretprobe", "kprobe.multi", "kretprobe.multi", "kprobe.session"}, programs: []string{"kprobe"}, doc: "see calls and returns of a kernel function"},
	{name: "kretprobe", shape: symbolShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of kprobe"},
	{name: "kprobe.multi", shape: symbolShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of kprobe"},
	{name: "kretprobe.multi", shape: symbolShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of kprobe"},
	{name: "kprobe.session", shape: symbolShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of kprobe"},
	{name: "ksyscall", shape: symbolShape, kind: Attach, also: []string{"kretsyscall"}, programs: []string{"kprobe"}, doc: "see calls and returns of a system call"},
	{name: "kretsyscall", shape: symbolShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of ksyscall"},
	{name: "fentry", shape: symbolShape, kind: Attach, also: []string{"fexit", "fsession"}, programs: []string{"tracing"}, doc: "see calls and returns of a kernel function and the structures that it is about"},
	{name: "fexit", shape: symbolShape, kind: Attach, programs: []string{"tracing"}, doc: "part of fentry"},
	{name: "fsession", shape: symbolShape, kind: Attach, programs: []string{"tracing"}, doc: "part of fentry"},
	{name: "uprobe", shape: binaryShape, kind: Attach, also: []string{"uretprobe", "uprobe.multi", "uretprobe.multi", "uprobe.session"}, programs: []string{"kprobe"}, doc: "see calls and returns of a function of a program or library"},
	{name: "uretprobe", shape: binaryShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of uprobe"},
	{name: "uprobe.multi", shape: binaryShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of uprobe"},
	{name: "uretprobe.multi", shape: binaryShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of uprobe"},
	{name: "uprobe.session", shape: binaryShape, kind: Attach, programs: []string{"kprobe"}, doc: "part of uprobe"},
	{name: "usdt", shape: usdtShape, kind: Attach, programs: []string{"kprobe"}, doc: "see an event of a program or library"},
	{name: "perf_event", kind: Attach, programs: []string{"perf_event"}, doc: "sample what the CPUs do"},
	{name: "iter", shape: symbolShape, kind: Attach, programs: []string{"tracing"}, doc: "list the kernel's tasks, sockets, maps, ..."},
	// Changing the kernel's decisions.
	{name: "lsm", shape: symbolShape, kind: Attach, programs: []string{"lsm"}, doc: "decide what processes may do, at a security hook"},
	{name: "fmod_ret", shape: symbolShape, kind: Attach, programs: []string{"tracing"}, doc: "change what a kernel function returns"},
	{name: "freplace", kind: Attach, programs: []string{"ext"}, doc: "replace a function of one of the plugin's own programs"},
	{name: "struct_ops", shape: symbolShape, kind: Attach, programs: []string{"struct_ops"}, maps: []string{"struct_ops"}, doc: "be a part of the kernel, such as a congestion control"},
	{name: "lirc", shape: pathShape, kind: Attach, programs: []string{"lirc_mode2"}, doc: "decode an infrared receiver"},
	// Programs, what they call, maps.
	{name: "prog", shape: symbolShape, needsTarget: true, kind: Load, doc: "load programs of a type that no granted hook takes, to run them by test-run or put them into program arrays"},
	{name: "test-run", kind: TestRun, doc: "run own programs on own data"},
	{name: "live-frames", kind: LiveFrames, doc: "send made-up packets through an XDP program to any interface"},
	{name: "helper", shape: symbolShape, needsTarget: true, exact: true, kind: Helper, doc: "call a kernel helper that reaches further than its hook"},
	{name: "kfunc", shape: symbolShape, needsTarget: true, kind: Kfunc, doc: "call a kernel function from programs"},
	{name: "map", shape: symbolShape, needsTarget: true, kind: Map, doc: "create maps of a type that reaches outside"},
	{name: "redirect", shape: ifaceShape, kind: Redirect, doc: "send packets out of an interface, by a devmap"},
	{name: "xsk", shape: ifaceShape, kind: XSK, maps: []string{"xskmap"}, doc: "receive and send packets of an interface by AF_XDP sockets"},
	{name: "share", shape: symbolShape, kind: Share, doc: "share maps and objects with other plugins, under a name"},
	{name: "pin", shape: symbolShape, kind: Pin, doc: "keep maps, programs and links after its end, under a name, and open those"},
	// Questions to the kernel.
	{name: "symbols", kind: Symbols, doc: "look up addresses and names of kernel functions"},
	{name: "process-symbols", kind: ProcessSymbols, doc: "look up names of functions of any process"},
	{name: "process", kind: Process, doc: "open processes as keys of maps"},
	{name: "socket-of", kind: SocketOf, doc: "take sockets of other processes"},
	{name: "cgroup-id", kind: CgroupID, doc: "look up ids and paths of control groups, open them as keys of maps"},
	{name: "file", shape: pathShape, kind: File, doc: "open a file as a key of a map, without reading it"},
	{name: "stats", kind: Stats, doc: "let the kernel measure all BPF programs"},
	// WASI.
	{name: "dir", shape: dirShape, needsTarget: true, kind: Dir, doc: "read, or with :rw read and write, a directory and what is below it"},
	{name: "env", shape: symbolShape, kind: Env, doc: "see a variable of the environment"},
	{name: "network", kind: Network, doc: "use sockets of WASI"},
	{name: "clock", kind: Clock, doc: "know the time; granted unless denied"},
	{name: "random", kind: Random, doc: "get random numbers; granted unless denied"},
}

// cgroupKinds are what the section names of cgroup programs say.
const cgroupKinds = `skb skb/ingress skb/egress sock sock_create sock_release post_bind4 post_bind6 bind4 bind6 connect4 connect6 connect_unix
	sendmsg4 sendmsg6 sendmsg_unix recvmsg4 recvmsg6 recvmsg_unix getpeername4 getpeername6 getpeername_unix getsockname4 getsockname6
	getsockname_unix sysctl getsockopt setsockopt dev`

// headID is an index into heads.
type headID uint8

var headByName = func() map[string]headID {
	m := make(map[string]headID, len(heads))
	for i := range heads {
		m[heads[i].name] = headID(i)
	}
	return m
}()

// headOfKind is the word for each kind of action but Attach, which has one for each hook.
var headOfKind = func() (ids [kinds]headID) {
	for i := range heads {
		if heads[i].kind != Attach {
			ids[heads[i].kind] = headID(i)
		}
	}
	return ids
}()

// neverAttached are the hooks whose programs are run by others, and the type of program to grant in their place.
var neverAttached = map[string]string{"syscall": "prog:syscall", "lwt": "prog:lwt_in", "action": "prog:sched_act"}

// groups are words for several grants. None has a helper that is in [dangerous].
var groups = []struct{ name, doc, lines string }{
	{"tracing", "see what processes and the kernel do",
		"tracepoint raw_tracepoint tp_btf kprobe ksyscall fentry uprobe usdt perf_event iter test-run symbols process-symbols process cgroup-id"},
	{"net-observe", "see traffic and connections, without a way to change or stop them",
		"tracepoint:net/* tracepoint:tcp/* tracepoint:udp/* tracepoint:sock/* tracepoint:skb/* tracepoint:napi/* tracepoint:qdisc/* tracepoint:xdp/* " +
			"tracepoint:fib/* tracepoint:fib6/* tracepoint:neigh/* " +
			"raw_tracepoint:net_dev_* raw_tracepoint:netif_* raw_tracepoint:napi_* raw_tracepoint:tcp_* raw_tracepoint:udp_* raw_tracepoint:inet_* " +
			"raw_tracepoint:sock_* raw_tracepoint:*_skb " +
			"tp_btf:net_dev_* tp_btf:netif_* tp_btf:napi_* tp_btf:tcp_* tp_btf:udp_* tp_btf:inet_* tp_btf:sock_* tp_btf:*_skb " +
			"kprobe:tcp_* kprobe:udp_* kprobe:udpv6_* kprobe:inet_* kprobe:inet6_* kprobe:ip_* kprobe:ip6_* kprobe:icmp_* kprobe:netif_* kprobe:__dev_queue_xmit " +
			"fentry:tcp_* fentry:udp_* fentry:udpv6_* fentry:inet_* fentry:inet6_* fentry:ip_* fentry:ip6_* fentry:icmp_* fentry:netif_* fentry:__dev_queue_xmit " +
			"iter:tcp iter:udp iter:unix iter:netlink cgroup-id test-run"},
	{"net-forward", "decide where packets go; with @eth* only on those interfaces",
		"xdp@ tc@ netkit@ redirect@ map:devmap map:devmap_hash map:cpumap test-run"},
	{"security", "decide what processes may do", "lsm lsm_cgroup cgroup fmod_ret:security_* test-run cgroup-id"},
}

// allHead is the group of everything. It is no list, so that nothing can be missing in it.
const allHead = "all"

func isGroup(name string) bool {
	for i := range groups {
		if groups[i].name == name {
			return true
		}
	}
	return false
}

// groupLines are the grants that a group stands for, those about interfaces only for one if it is given.
func groupLines(name, iface string) []string {
	for _, g := range groups {
		if g.name == name {
			if iface == "" {
				return strings.Fields(strings.ReplaceAll(g.lines, "@", ""))
			}
			return strings.Fields(strings.ReplaceAll(g.lines, "@", "@"+iface))
		}
	}
	return nil
}
