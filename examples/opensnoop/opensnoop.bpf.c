// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reports each openat and openat2 with its result.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "opensnoop.h"

const volatile uint32_t target_pid = 0;	/* only this process; 0 = all */
const volatile uint32_t only_failed = 0;	/* 1 = only those that failed */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} events SEC(".maps");

/*
 * Address of the path that a thread is opening. A thread that dies inside the call leaves its entry,
 * so the oldest ones make room if it is full.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, uint64_t);
	__type(value, uint64_t);
} paths SEC(".maps");

static __always_inline int enter(struct sys_enter_args *ctx)
{
	uint64_t id = bpf_get_current_pid_tgid(), path = ctx->args[1];

	if (!target_pid || target_pid == id >> 32)
		bpf_map_update_elem(&paths, &id, &path, BPF_ANY);
	return 0;
}

/* The path is read at the end, when the kernel has brought it into memory. */
static __always_inline int leave(struct sys_exit_args *ctx)
{
	uint64_t id = bpf_get_current_pid_tgid(), *found, path;
	struct opensnoop_event *e;

	found = bpf_map_lookup_elem(&paths, &id);
	if (!found)
		return 0;
	path = *found;
	bpf_map_delete_elem(&paths, &id);
	if (only_failed && ctx->ret >= 0)
		return 0;

	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->pid = id >> 32;
	e->result = ctx->ret;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	e->path[0] = 0;
	/* One byte more than is shown, to know whether there is more. */
	e->path_size = bpf_probe_read_user_str(e->path, OPENSNOOP_PATH + 1, (void *)path);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int enter_openat(struct sys_enter_args *ctx)
{
	return enter(ctx);
}

SEC("tracepoint/syscalls/sys_enter_openat2")
int enter_openat2(struct sys_enter_args *ctx)
{
	return enter(ctx);
}

SEC("tracepoint/syscalls/sys_exit_openat")
int exit_openat(struct sys_exit_args *ctx)
{
	return leave(ctx);
}

SEC("tracepoint/syscalls/sys_exit_openat2")
int exit_openat2(struct sys_exit_args *ctx)
{
	return leave(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
