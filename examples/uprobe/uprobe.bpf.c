// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts and times the calls of a function of a program or library. The guest says which one.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "uprobe.h"

const volatile bool verbose = false;	/* send each call */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} calls SEC(".maps");

/* When the call that a thread is in began. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, uint64_t);
	__type(value, uint64_t);
} starts SEC(".maps");

/* Two sums: the programs add to one while the guest reads and clears the other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, uint32_t);
	__type(value, struct uprobe_sum);
} sums SEC(".maps");

/* Which sum the programs add to: 0 or 1. The guest changes it while they run. */
uint32_t current;

static __always_inline struct uprobe_sum *sum(void)
{
	uint32_t which = *(volatile uint32_t *)&current;

	return bpf_map_lookup_elem(&sums, &which);
}

SEC("uprobe")
int on_call(struct pt_regs *ctx)
{
	uint64_t now = bpf_ktime_get_ns(), thread = bpf_get_current_pid_tgid();
	struct uprobe_sum *s = sum();

	/* Atomic, because another thread may take over this CPU between load and store. */
	if (s)
		__sync_fetch_and_add(&s->calls, 1);
	bpf_map_update_elem(&starts, &thread, &now, BPF_ANY);
	return 0;
}

SEC("uretprobe")
int on_return(struct pt_regs *ctx)
{
	uint64_t now = bpf_ktime_get_ns(), thread = bpf_get_current_pid_tgid(), ns;
	uint64_t *start = bpf_map_lookup_elem(&starts, &thread);
	struct uprobe_sum *s = sum();
	struct uprobe_call *c;

	/* It began before the probe was there, or it has called itself: the inner call is timed. */
	if (!start)
		return 0;
	ns = now - *start;
	bpf_map_delete_elem(&starts, &thread);
	if (s) {
		/* 0 stands for "none yet"; a call of no time at all counts as 1 ns. */
		if (!ns)
			ns = 1;
		__sync_fetch_and_add(&s->timed, 1);
		__sync_fetch_and_add(&s->total_ns, ns);
		if (!s->min_ns || ns < s->min_ns)
			s->min_ns = ns;
		if (ns > s->max_ns)
			s->max_ns = ns;
	}
	if (!verbose)
		return 0;
	c = bpf_ringbuf_reserve(&calls, sizeof(*c), 0);
	if (!c)
		return 0;
	c->duration_ns = ns;
	c->pid = thread >> 32;
	c->tid = thread;
	bpf_get_current_comm(c->comm, sizeof(c->comm));
	bpf_ringbuf_submit(c, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
