// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts the packets and bytes that an interface receives, per protocol. Every packet passes.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "xdpcount.h"

#define VLAN_TAGS	2
#define IP6_EXTENSIONS	4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDPCOUNT_KINDS);
	__type(key, uint32_t);
	__type(value, struct xdpcount_sum);
} sums SEC(".maps");

static __always_inline uint32_t kind_of_ip6(void *at, void *end)
{
	struct ipv6hdr *ip = at;
	uint8_t *ext, next;
	int i;

	if ((void *)(ip + 1) > end)
		return XDPCOUNT_IP6_OTHER;
	next = ip->nexthdr;
	ext = (uint8_t *)(ip + 1);
	for (i = 0; i <= IP6_EXTENSIONS; i++) {
		switch (next) {
		case IPPROTO_TCP: return XDPCOUNT_IP6_TCP;
		case IPPROTO_UDP: return XDPCOUNT_IP6_UDP;
		case IPPROTO_ICMPV6: return XDPCOUNT_IP6_ICMP;
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_FRAGMENT:
		case IPPROTO_DSTOPTS: break;
		default: return XDPCOUNT_IP6_OTHER;
		}
		if ((void *)(ext + 8) > end)
			return XDPCOUNT_IP6_OTHER;
		/* A fragment header always has 8 bytes; the others say how many more than 8. */
		if (next == IPPROTO_FRAGMENT) {
			next = ext[0];
			ext += 8;
		} else {
			next = ext[0];
			ext += 8 + ext[1] * 8;
		}
	}
	return XDPCOUNT_IP6_OTHER;
}

static __always_inline uint32_t kind_of(void *data, void *end)
{
	struct ethhdr *eth = data;
	struct vlan_hdr *vlan;
	struct iphdr *ip;
	uint16_t proto;
	void *at = eth + 1;
	int i;

	if (at > end)
		return XDPCOUNT_OTHER;
	proto = eth->h_proto;
	for (i = 0; i < VLAN_TAGS; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		vlan = at;
		if ((void *)(vlan + 1) > end)
			return XDPCOUNT_OTHER;
		proto = vlan->h_vlan_encapsulated_proto;
		at = vlan + 1;
	}
	switch (bpf_ntohs(proto)) {
	case ETH_P_ARP:
		return XDPCOUNT_ARP;
	case ETH_P_IPV6:
		return kind_of_ip6(at, end);
	case ETH_P_IP:
		ip = at;
		if ((void *)(ip + 1) > end)
			return XDPCOUNT_IP4_OTHER;
		switch (ip->protocol) {
		case IPPROTO_TCP: return XDPCOUNT_IP4_TCP;
		case IPPROTO_UDP: return XDPCOUNT_IP4_UDP;
		case IPPROTO_ICMP: return XDPCOUNT_IP4_ICMP;
		}
		return XDPCOUNT_IP4_OTHER;
	}
	return XDPCOUNT_OTHER;
}

SEC("xdp")
int count(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	uint32_t kind = kind_of(data, end);
	struct xdpcount_sum *sum = bpf_map_lookup_elem(&sums, &kind);

	if (sum) {
		/* Nobody else writes this CPU's sum: a packet is never interrupted by a packet. */
		sum->packets++;
		sum->bytes += end - data;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
