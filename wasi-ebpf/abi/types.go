package abi

// The names that kernel_probe takes for map types and program types: the kernel's own, in lower case and without their prefix. A
// name's place in the list is the type's number.

// MapTypes are the names of enum bpf_map_type, by number.
func MapTypes() []string {
	return []string{
		"unspec", "hash", "array", "prog_array", "perf_event_array", "percpu_hash", "percpu_array", "stack_trace", "cgroup_array",
		"lru_hash", "lru_percpu_hash", "lpm_trie", "array_of_maps", "hash_of_maps", "devmap", "sockmap", "cpumap", "xskmap", "sockhash",
		"cgroup_storage", "reuseport_sockarray", "percpu_cgroup_storage", "queue", "stack", "sk_storage", "devmap_hash", "struct_ops",
		"ringbuf", "inode_storage", "task_storage", "bloom_filter", "user_ringbuf", "cgrp_storage", "arena",
	}
}

// ProgramTypes are the names of enum bpf_prog_type, by number.
func ProgramTypes() []string {
	return []string{
		"unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb", "cgroup_sock",
		"lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint", "cgroup_sock_addr",
		"lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl", "raw_tracepoint_writable", "cgroup_sockopt",
		"tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall", "netfilter",
	}
}

// BTFKinds are the names of BTF_KIND_*, by number, as the kernel's documentation of BTF has them.
func BTFKinds() []string {
	return []string{
		"void", "int", "ptr", "array", "struct", "union", "enum", "fwd", "typedef", "volatile", "const", "restrict", "func",
		"func_proto", "var", "datasec", "float", "decl_tag", "type_tag", "enum64",
	}
}

// TypeName is the name of a type's number in one of these lists; one that is not known here is "unknown", which no grant names.
func TypeName(names []string, number uint32) string {
	if uint64(number) < uint64(len(names)) {
		return names[number]
	}
	return "unknown"
}
