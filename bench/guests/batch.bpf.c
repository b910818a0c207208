// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* As drain.bpf.c, with 64-byte records, which the ring takes 58254 of, and a hash of twice the size. */
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
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, __u64);
} hash SEC(".maps");

SEC("raw_tracepoint/sys_enter")
int fill(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 record[8] = {};
	int i;

	if (ctx->args[1] != ASK)
		return 0;
	for (i = 0; i < BATCH; i++) {
		record[0] = i;
		record[1] = 1;
		if (bpf_ringbuf_output(&ring, record, sizeof(record), BPF_RB_NO_WAKEUP))
			break;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
