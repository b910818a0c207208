// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts, by power of two, how long threads that could run waited for a CPU.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "runqlat.h"

const volatile uint32_t target_pid = 0;	/* only the threads of this process; 0 = all */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct runqlat_histogram);
} histogram SEC(".maps");

/* Since when a thread has been waiting. The oldest entries make room if it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, uint32_t);
	__type(value, uint64_t);
} waiting SEC(".maps");

static __always_inline int enqueue(struct task_struct *task)
{
	uint32_t pid = task->pid;
	uint64_t now = bpf_ktime_get_ns();

	/* Process 0 is the idle loop. */
	if (pid && (!target_pid || target_pid == task->tgid))
		bpf_map_update_elem(&waiting, &pid, &now, BPF_ANY);
	return 0;
}

static __always_inline bool runnable(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return !task->__state;
	return !((struct task_struct___before_5_14 *)task)->state;
}

/* Log2 of v, at most the last slot. */
static __always_inline uint32_t slot_of(uint64_t v)
{
	uint32_t slot = 0;

	if (v >> RUNQLAT_SLOTS)
		return RUNQLAT_SLOTS - 1;
#pragma unroll
	for (int shift = 16; shift; shift /= 2)
		if (v >> shift) {
			v >>= shift;
			slot += shift;
		}
	return slot;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	return enqueue(task);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *task)
{
	return enqueue(task);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct runqlat_histogram *h;
	uint64_t *since, now = bpf_ktime_get_ns();
	uint32_t pid = next->pid, zero = 0;

	/* Who had to give way, and did not go to sleep, waits again. */
	if (preempt || runnable(prev))
		enqueue(prev);

	since = bpf_map_lookup_elem(&waiting, &pid);
	if (!since)
		return 0;
	h = bpf_map_lookup_elem(&histogram, &zero);
	if (h && now > *since)
		__sync_fetch_and_add(&h->slots[slot_of((now - *since) / 1000) & (RUNQLAT_SLOTS - 1)], 1);
	bpf_map_delete_elem(&waiting, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
