// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reports each program that starts and, with its duration and exit code, each of them that ends.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "execsnoop.h"

const volatile uint32_t target_pid = 0;	/* only this process and its children; 0 = all */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* When the program of a process started. The oldest entries make room if it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, uint32_t);
	__type(value, uint64_t);
} starts SEC(".maps");

static __always_inline void fill(struct execsnoop_event *e, struct task_struct *task, uint32_t kind)
{
	e->kind = kind;
	e->pid = task->tgid;
	e->ppid = task->real_parent->tgid;
	e->exit_code = 0;
	e->duration_ns = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

static __always_inline bool wanted(struct task_struct *task)
{
	uint32_t want = target_pid;

	return !want || want == task->tgid || want == task->real_parent->tgid;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	struct execsnoop_event *e;
	uint64_t now = bpf_ktime_get_ns();
	uint32_t pid = task->tgid;
	unsigned long start, len;

	if (!wanted(task))
		return 0;
	bpf_map_update_elem(&starts, &pid, &now, BPF_ANY);

	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	fill(e, task, EXECSNOOP_EXEC);
	start = task->mm->arg_start;
	len = task->mm->arg_end - start;
	e->args_total = len;
	/* The verifier must see the bound on the very register that is used: no second copy of len. */
	barrier_var(len);
	if (len > EXECSNOOP_ARGS)
		len = EXECSNOOP_ARGS;
	barrier_var(len);
	if (bpf_probe_read_user(e->args, len, (void *)start))
		len = 0;
	e->args_len = len;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct execsnoop_event *e;
	uint64_t *start, duration;
	uint32_t pid = task->tgid;

	/* A process ends with its last thread. */
	if (task->signal->live.counter > 0)
		return 0;
	start = bpf_map_lookup_elem(&starts, &pid);
	if (!start)
		return 0;
	duration = bpf_ktime_get_ns() - *start;
	/* Two threads that exit at once may both be here: one of them finds nothing to delete. */
	if (bpf_map_delete_elem(&starts, &pid))
		return 0;

	e = bpf_ringbuf_reserve(&events, EXECSNOOP_EXIT_SIZE, 0);
	if (!e)
		return 0;
	fill(e, task, EXECSNOOP_EXIT);
	e->exit_code = task->exit_code;
	e->duration_ns = duration;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
