// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fills a ring quickly, for benchmarks. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

static long each(__u32 i, void *ctx)
{
	__u64 *r = bpf_ringbuf_reserve(&ring, 24, 0);

	if (!r)
		return 1;
	r[0] = i;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("syscall")
int fill(__u32 *n)
{
	bpf_loop(*n, each, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
