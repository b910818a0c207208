// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Writes a record for each thread that the kernel shows it. It runs when somebody reads its output.
#include "vmlinux.h"
#include "iter.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "tasks.h"

SEC("iter/task")
int write_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct tasks_task t = {};

	if (!task)
		return 0;
	t.pid = task->tgid;
	t.tid = task->pid;
	t.ppid = task->real_parent->tgid;
	t.threads = ((struct signal_struct___iter *)task->signal)->nr_threads;
	t.kernel = !task->mm;
	BPF_CORE_READ_STR_INTO(&t.comm, task, comm);
	/* What does not fit into the reader's buffer any more comes again at its next read. */
	bpf_seq_write(ctx->meta->seq, &t, sizeof(t));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
