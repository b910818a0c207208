// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reports each connect of the processes of a cgroup, and refuses those to addresses that the guest names.
#include "vmlinux.h"
#include "net.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "connect.h"

/* Addresses that may not be connected to. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CONNECT_RULES);
	__type(key, struct connect_rule);
	__type(value, uint32_t);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* Answers 1, which lets the process go on, or 0, which gives it EPERM. */
static __always_inline int check(struct bpf_sock_addr *ctx, struct connect_rule *to)
{
	bool refused = bpf_map_lookup_elem(&rules, to);
	struct connect_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (e) {
		e->pid = bpf_get_current_pid_tgid() >> 32;
		e->udp = ctx->protocol == IPPROTO_UDP;
		e->refused = refused;
		e->port = bpf_ntohs(ctx->user_port);
		__builtin_memcpy(e->address, to->address, sizeof(e->address));
		bpf_get_current_comm(e->comm, sizeof(e->comm));
		bpf_ringbuf_submit(e, 0);
	}
	return !refused;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	struct connect_rule to = { .bits = 128, .address = { 0, 0, bpf_htonl(0xffff), ctx->user_ip4 } };

	return check(ctx, &to);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct connect_rule to = { .bits = 128 };

	to.address[0] = ctx->user_ip6[0];
	to.address[1] = ctx->user_ip6[1];
	to.address[2] = ctx->user_ip6[2];
	to.address[3] = ctx->user_ip6[3];
	return check(ctx, &to);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
