// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts the packets and bytes of an interface in both directions, per protocol. Every packet passes.
#include "vmlinux.h"
#include "net.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "tcx.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct tcx_kind);
	__type(value, struct tcx_sum);
} sums SEC(".maps");

static __always_inline int count(struct __sk_buff *skb, uint8_t out)
{
	struct tcx_kind kind = { .out = out, .ethertype = bpf_ntohs(skb->protocol) };
	const struct tcx_sum none = {};
	struct tcx_sum *sum;

	/* Where the protocol is in the header; relative, because not every interface has Ethernet. */
	if (kind.ethertype == ETH_P_IP)
		bpf_skb_load_bytes_relative(skb, 9, &kind.protocol, 1, BPF_HDR_START_NET);
	else if (kind.ethertype == ETH_P_IPV6)
		bpf_skb_load_bytes_relative(skb, 6, &kind.protocol, 1, BPF_HDR_START_NET);
	sum = bpf_map_lookup_elem(&sums, &kind);
	if (!sum) {
		bpf_map_update_elem(&sums, &kind, &none, BPF_NOEXIST);
		sum = bpf_map_lookup_elem(&sums, &kind);
	}
	if (sum) {
		/* Atomic, because a packet that is sent may be interrupted by one that comes in. */
		__sync_fetch_and_add(&sum->packets, 1);
		__sync_fetch_and_add(&sum->bytes, skb->len);
	}
	return TCX_NEXT;
}

SEC("tcx/ingress")
int count_in(struct __sk_buff *skb)
{
	return count(skb, 0);
}

SEC("tcx/egress")
int count_out(struct __sk_buff *skb)
{
	return count(skb, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
