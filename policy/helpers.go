package policy

import "strings"

// A helper is a function of the kernel that BPF programs may call. Most work on the program's own maps and on the packet or event that
// its hook was called for: a granted hook includes them. Those in this table reach further. No hook and no group includes them; each
// has to be named in a grant.
//
// What a helper reads or writes is only half of what a program can reach: hooks that are given typed pointers (tp_btf, fentry, fexit,
// lsm, iter, struct_ops) can follow these through the kernel's structures without any helper.
type dangerousHelper struct {
	name   string
	reason string
	with   string // other helpers with the same power: they are granted and denied together with it
	less   string // helpers with less power: they are granted with it, but not denied
}

const (
	readsKernel = "reads any memory of the kernel, and so of every process"
	readsUser   = "reads memory of processes: passwords, keys, what is typed"
	redirects   = "sends packets to any interface, granted or not; bpf_redirect_map with redirect@IFACE can be limited"
	beyond      = "works on the host's own process, behind the policy"
)

var dangerous = [...]dangerousHelper{
	{"bpf_probe_read_kernel", readsKernel, "bpf_probe_read_kernel_str bpf_probe_read bpf_probe_read_str bpf_snprintf bpf_snprintf_btf " +
		"bpf_seq_printf bpf_seq_printf_btf", "bpf_probe_read_user bpf_probe_read_user_str bpf_copy_from_user bpf_copy_from_user_task"},
	{"bpf_probe_read_kernel_str", readsKernel, "", ""},
	{"bpf_probe_read", readsKernel, "bpf_probe_read_str", ""},
	{"bpf_probe_read_str", readsKernel, "", ""},
	{"bpf_snprintf", readsKernel + ": %s and %pI4 follow any address", "", ""},
	{"bpf_snprintf_btf", readsKernel + ": it follows any address", "", ""},
	{"bpf_seq_printf", readsKernel + ": %s and %pI4 follow any address; bpf_seq_write does not", "", ""},
	{"bpf_seq_printf_btf", readsKernel + ": it follows any address", "", ""},
	{"bpf_probe_read_user", readsUser, "bpf_probe_read_user_str bpf_copy_from_user bpf_copy_from_user_task", ""},
	{"bpf_probe_read_user_str", readsUser, "", ""},
	{"bpf_copy_from_user", readsUser, "", ""},
	{"bpf_copy_from_user_task", readsUser, "", ""},
	{"bpf_trace_printk", readsKernel + ", and writes to the trace log of the whole box", "bpf_trace_vprintk", ""},
	{"bpf_trace_vprintk", readsKernel + ", and writes to the trace log of the whole box", "", ""},
	{"bpf_probe_write_user", "writes memory of processes: makes them do anything", "", ""},
	{"bpf_override_return", "makes kernel functions fail or lie", "", ""},
	{"bpf_send_signal", "signals processes: kills them", "bpf_send_signal_thread", ""},
	{"bpf_send_signal_thread", "signals processes: kills them", "", ""},
	{"bpf_setsockopt", "changes sockets: from iter:tcp those of the whole box, from sockops those of its control group", "", ""},
	{"bpf_redirect", redirects, "bpf_clone_redirect bpf_redirect_neigh bpf_redirect_peer", ""},
	{"bpf_clone_redirect", redirects, "", ""},
	{"bpf_redirect_neigh", redirects, "", ""},
	{"bpf_redirect_peer", redirects, "", ""},
	{"bpf_kallsyms_lookup_name", "answers addresses of the kernel, which it hides from processes", "", ""},
	{"bpf_sys_bpf", "makes any bpf(2) call: " + beyond, "", ""},
	{"bpf_sys_close", "closes file descriptors: " + beyond, "", ""},
	{"bpf_btf_find_by_name_kind", "opens file descriptors: " + beyond, "", ""},
}

// ordinary are the helpers that every hook includes, without their "bpf_". Together with the table above these are all of Linux 7.0. A
// helper in neither is a later one: it has to be granted by its name or number, until somebody has judged it.
const ordinary = `
map_lookup_elem map_update_elem map_delete_elem ktime_get_ns get_prandom_u32 get_smp_processor_id skb_store_bytes
l3_csum_replace l4_csum_replace tail_call get_current_pid_tgid get_current_uid_gid get_current_comm get_cgroup_classid
skb_vlan_push skb_vlan_pop skb_get_tunnel_key skb_set_tunnel_key perf_event_read get_route_realm perf_event_output
skb_load_bytes get_stackid csum_diff skb_get_tunnel_opt skb_set_tunnel_opt skb_change_proto skb_change_type skb_under_cgroup
get_hash_recalc get_current_task current_task_under_cgroup skb_change_tail skb_pull_data csum_update set_hash_invalid
get_numa_node_id skb_change_head xdp_adjust_head get_socket_cookie get_socket_uid set_hash skb_adjust_room
redirect_map sk_redirect_map sock_map_update xdp_adjust_meta perf_event_read_value perf_prog_read_value getsockopt
sock_ops_cb_flags_set msg_redirect_map msg_apply_bytes msg_cork_bytes msg_pull_data bind xdp_adjust_tail skb_get_xfrm_state
get_stack skb_load_bytes_relative fib_lookup sock_hash_update msg_redirect_hash sk_redirect_hash lwt_push_encap
lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action rc_repeat rc_keydown skb_cgroup_id get_current_cgroup_id
get_local_storage sk_select_reuseport skb_ancestor_cgroup_id sk_lookup_tcp sk_lookup_udp sk_release map_push_elem
map_pop_elem map_peek_elem msg_push_data msg_pop_data rc_pointer_rel spin_lock spin_unlock sk_fullsock tcp_sock
skb_ecn_set_ce get_listener_sock skc_lookup_tcp tcp_check_syncookie sysctl_get_name sysctl_get_current_value
sysctl_get_new_value sysctl_set_new_value strtol strtoul sk_storage_get sk_storage_delete tcp_gen_syncookie skb_output
tcp_send_ack jiffies64 read_branch_records get_ns_current_pid_tgid xdp_output get_netns_cookie
get_current_ancestor_cgroup_id sk_assign ktime_get_boot_ns seq_write sk_cgroup_id sk_ancestor_cgroup_id ringbuf_output
ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query csum_level skc_to_tcp6_sock skc_to_tcp_sock
skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock get_task_stack load_hdr_opt store_hdr_opt reserve_hdr_opt
inode_storage_get inode_storage_delete d_path skb_cgroup_classid per_cpu_ptr this_cpu_ptr task_storage_get
task_storage_delete get_current_task_btf bprm_opts_set ktime_get_coarse_ns ima_inode_hash sock_from_file check_mtu
for_each_map_elem timer_init timer_set_callback timer_start timer_cancel get_func_ip get_attach_cookie task_pt_regs
get_branch_snapshot skc_to_unix_sock find_vma loop strncmp get_func_arg get_func_ret get_func_arg_cnt get_retval set_retval
xdp_get_buff_len xdp_load_bytes xdp_store_bytes skb_set_tstamp ima_file_hash kptr_xchg map_lookup_percpu_elem
skc_to_mptcp_sock dynptr_from_mem ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read
dynptr_write dynptr_data tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4
tcp_raw_check_syncookie_ipv6 ktime_get_tai_ns user_ringbuf_drain cgrp_storage_get cgrp_storage_delete
`

// helperRow says what the table has about a helper: its index in dangerous, or -1 for an ordinary one.
var helperRow = func() map[string]int {
	m := make(map[string]int, 256)
	for _, name := range strings.Fields(ordinary) {
		m["bpf_"+name] = -1
	}
	for i, h := range dangerous {
		m[h.name] = i
	}
	return m
}()

// freeKfuncs are the kernel functions that every hook includes; those with a "*" at the end are families. All others have to be named:
// modules bring their own, so no list is complete. Missing on purpose are those that read memory (bpf_rdonly_cast,
// bpf_probe_read_*_dynptr, bpf_copy_from_user_*) or files (bpf_dynptr_from_file), take kernel memory that no budget counts (bpf_obj_new_impl), signal
// (bpf_send_signal_task), and change the kernel's objects (bpf_ct_*, bpf_sock_destroy, bpf_set_dentry_xattr).
var freeKfuncs = strings.Fields(`
bpf_cast_to_kern_ctx bpf_cgroup_acquire bpf_cgroup_ancestor bpf_cgroup_from_id bpf_cgroup_release bpf_cpumask_* bpf_dynptr_adjust
bpf_dynptr_clone bpf_dynptr_copy bpf_dynptr_from_skb bpf_dynptr_from_skb_meta bpf_dynptr_from_xdp bpf_dynptr_is_null bpf_dynptr_is_rdonly
bpf_dynptr_memset bpf_dynptr_size bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_iter_bits_*
bpf_iter_num_* bpf_list_* bpf_local_irq_* bpf_map_sum_elem_count bpf_obj_drop_impl bpf_percpu_obj_drop_impl bpf_preempt_* bpf_rbtree_*
bpf_rcu_read_* bpf_refcount_acquire_impl bpf_res_spin_* bpf_session_* bpf_strcasecmp bpf_strchr bpf_strchrnul bpf_strcmp bpf_strcspn
bpf_strlen bpf_strnchr bpf_strnlen bpf_strnstr bpf_strrchr bpf_strspn bpf_strstr bpf_task_acquire bpf_task_from_pid bpf_task_from_vpid
bpf_task_release bpf_task_under_cgroup bpf_throw bpf_wq_* bpf_xdp_metadata_* bpf_xdp_pull_data
`)

func freeKfunc(name string) bool {
	for _, f := range freeKfuncs {
		if p, family := strings.CutSuffix(f, "*"); name == f || family && strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// ownMaps are the types of map that hold only the plugin's own data, programs and maps; the budget of kernel memory is their limit. A
// program array is among them because only programs get into it that were loaded under the policy. The others hold things of the box:
// interfaces, sockets, CPUs, parts of the kernel.
var ownMaps = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array lru_hash
		lru_percpu_hash lpm_trie array_of_maps hash_of_maps cgroup_storage percpu_cgroup_storage queue stack sk_storage ringbuf
		inode_storage task_storage bloom_filter user_ringbuf cgrp_storage arena`) {
		m[name] = true
	}
	return m
}()

// reachingMaps are the types that need a grant.
var reachingMaps = strings.Fields("devmap devmap_hash cpumap xskmap sockmap sockhash reuseport_sockarray struct_ops")

// programTypes are the kernel's types of program.
var programTypes = strings.Fields(`socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb cgroup_sock lwt_in lwt_out
	lwt_xmit sock_ops sk_skb cgroup_device sk_msg raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2 sk_reuseport flow_dissector
	cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm sk_lookup syscall netfilter`)
