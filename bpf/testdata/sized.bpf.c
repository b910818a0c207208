// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records of any size. A test runs the programs with their arguments; raw tracepoints can be run so since Linux 5.10. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MOST 4096

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} ring SEC(".maps");

/* The test sets these to 0, 1, 2, ... */
char bytes[2 * MOST] SEC(".data");

/* n records of size bytes; the bytes of a record are numbers from its own one on. */
SEC("raw_tp")
int sized(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 n = ctx->args[0], size = ctx->args[1], i;

	if (size > MOST)
		return 1;
	for (i = 0; i < n && i < 64; i++)
		bpf_ringbuf_output(&ring, bytes + i, size, 0);
	return 0;
}

static long each(__u32 i, void *ctx)
{
	__u64 *r = bpf_ringbuf_reserve(&ring, 64, 0);

	if (!r)
		return 1;
	r[0] = i;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* n records of 64 bytes, quickly. */
SEC("?raw_tp")
int fill64(struct bpf_raw_tracepoint_args *ctx)
{
	bpf_loop(ctx->args[0], each, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
