// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fills a ring buffer of 4 MiB with 32-byte records when the benchmark asks for it. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define ASK 6451063	/* a system call that does not exist: the benchmark's signal */
#define BATCH 1000

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} hash SEC(".maps");

SEC("raw_tracepoint/sys_enter")
int fill(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 record[4] = {};
	int i;

	if (ctx->args[1] != ASK)
		return 0;
	for (i = 0; i < BATCH; i++) {
		record[0] = i;
		if (bpf_ringbuf_output(&ring, record, sizeof(record), BPF_RB_NO_WAKEUP))
			break;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
