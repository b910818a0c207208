// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A loop so long that the verifier cannot follow one more branch per round. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__u64 sent_ring;

SEC("raw_tp")
int output(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 number[3] = {};
	__u32 n = ctx->args[0], i;

	for (i = 0; i < n && i < 4096; i++) {
		number[0] = sent_ring++;
		bpf_ringbuf_output(&ring, &number, sizeof(number), 0);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
