// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts how often each command is started. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "share.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct share_command);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tracepoint/sched_process_exec")
int on_exec(void *ctx)
{
	struct share_command key = {};
	__u64 one = 1, *n;

	bpf_get_current_comm(key.comm, sizeof(key.comm));
	n = bpf_map_lookup_elem(&counts, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
