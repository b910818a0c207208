// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that watch. */
#include "hooks.h"

COUNT("tracepoint/syscalls/sys_enter_getpgid", tp, void *ctx, 0)
COUNT("tp/sched/sched_process_fork", tp_old, void *ctx, 0)
COUNT("tracepoint", tp_open, void *ctx, 0)
COUNT("raw_tracepoint/sys_enter", raw, void *ctx, 0)
COUNT("raw_tp/no_such_tracepoint", raw_missing, void *ctx, 0)
COUNT("tp_btf/sys_enter", typed, void *ctx, 0)
COUNT("uprobe", up, void *ctx, 0)
COUNT("uretprobe", upret, void *ctx, 0)
COUNT("uprobe/libc.so.6:malloc", up_named, void *ctx, 0)
COUNT("uprobe.multi", up_multi, void *ctx, 0)
COUNT("uretprobe.multi", upret_multi, void *ctx, 0)
COUNT("usdt", static_probe, void *ctx, 0)
COUNT("perf_event", sample, void *ctx, 0)
COUNT("kprobe/do_unlinkat", kp, void *ctx, 0)
COUNT("kretprobe/do_unlinkat", kpret, void *ctx, 0)
COUNT("ksyscall/getpgid", ksys, void *ctx, 0)
COUNT("kprobe.multi/tcp_*", kp_multi, void *ctx, 0)
COUNT("syscall", runme, void *ctx, 0)

__u64 cookie;

SEC("tracepoint/syscalls/sys_enter_getpgid")
int with_cookie(void *ctx)
{
	cookie = bpf_get_attach_cookie(ctx);
	hit();
	return 0;
}

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
} __attribute__((preserve_access_index));

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	char dot[] = ".";

	hit();
	bpf_seq_write(ctx->meta->seq, dot, 1);
	return 0;
}

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
} __attribute__((preserve_access_index));

SEC("iter/bpf_map_elem")
int entries(struct bpf_iter__bpf_map_elem *ctx)
{
	char dot[] = ".";

	if (ctx->key)
		bpf_seq_write(ctx->meta->seq, dot, 1);
	return 0;
}
