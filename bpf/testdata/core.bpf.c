// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that needs the kernel's types twice: for where it attaches and for the fields it reads. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec, struct task_struct *p, int old_pid, struct linux_binprm *bprm)
{
	__u32 pid = BPF_CORE_READ(p, real_parent, tgid);

	bpf_ringbuf_output(&ring, &pid, sizeof(pid), 0);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int exit_raw(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();

	bpf_ringbuf_output(&ring, &id, sizeof(id), 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
