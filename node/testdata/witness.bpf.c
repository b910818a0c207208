// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reports each call of getpgid with a number that the guest names, which no other process calls.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "witness.h"

const volatile uint32_t mark = 0;	/* the high 8 bits of the number */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} secrets SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_getpgid(struct sys_enter_args *ctx)
{
	uint32_t number = ctx->args[0];
	struct witness_event *e;

	if (number >> 24 != mark)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->ns = bpf_ktime_get_ns();
	e->seq = number & 0xffffff;
	e->mark = mark;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
