// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that a kernel refuses, each for another reason. All are optional, so that a test loads one at a time. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

static long (*no_such_helper)(void) = (void *)900;

SEC("?xdp")
int bounds(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data; /* without a check */
}

SEC("?xdp")
int null(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&hash, &key);

	return *v; /* without a check */
}

SEC("?xdp")
int helper(struct xdp_md *ctx)
{
	return no_such_helper();
}

SEC("?fentry/bpf_fentry_test1")
int BPF_PROG(trampoline, int a)
{
	return 0;
}

SEC("?lsm/file_open")
int BPF_PROG(lsm_open, void *file)
{
	return 0;
}

SEC("?tp_btf/no_such_tracepoint")
int BPF_PROG(tracepoint, int a)
{
	return 0;
}

SEC("?no_such_section")
int section(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
