// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asks for more memory than a plugin may have: two arrays of 1 GiB each. Never load it without a limit. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 27);
	__type(key, __u32);
	__type(value, __u64);
} one SEC(".maps"), two SEC(".maps");

SEC("xdp")
int use(struct xdp_md *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&one, &zero) && bpf_map_lookup_elem(&two, &zero) ? XDP_PASS : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
