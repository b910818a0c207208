// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What hostile plugins try to load. Each program is loaded alone.
#include "vmlinux.h"
#include "net.h"
#include <bpf/bpf_helpers.h>
#include "witness.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

/* What the policy grants: a tracepoint without helpers that reach further. */
SEC("tracepoint/syscalls/sys_enter_getpgid")
int granted(struct sys_enter_args *ctx)
{
	struct witness_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* Can be attached often. */
SEC("raw_tracepoint/sched_process_exec")
int often(void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int reads_kernel(struct sys_enter_args *ctx)
{
	uint64_t v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), ctx);
	return v == 1;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int writes_user(struct sys_enter_args *ctx)
{
	uint64_t v = 0;

	bpf_probe_write_user((void *)ctx->args[0], &v, sizeof(v));
	return 0;
}

/* Its section says that it sees packets of one socket; its code writes to processes. */
SEC("socket")
int lies(struct __sk_buff *skb)
{
	uint64_t v = 0;

	bpf_probe_write_user((void *)(uint64_t)skb->len, &v, sizeof(v));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
