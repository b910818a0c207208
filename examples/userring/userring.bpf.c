// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reports the start of commands that the guest wants to see. The guest says which at any time, through a ring of its own.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "userring.h"

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

/* The commands to report. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USERRING_NAMES);
	__type(key, char[USERRING_NAME]);
	__type(value, uint32_t);
} watched SEC(".maps");

/* Takes one order. Answers 0: go on with the next. */
static long take_order(struct bpf_dynptr *order, void *unused)
{
	struct userring_order o = {};
	uint32_t yes = 1;

	if (bpf_dynptr_read(&o, sizeof(o), order, 0, 0))
		return 0;
	if (o.what == USERRING_WATCH)
		bpf_map_update_elem(&watched, o.name, &yes, BPF_ANY);
	else if (o.what == USERRING_FORGET)
		bpf_map_delete_elem(&watched, o.name);
	return 0;
}

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	char name[USERRING_NAME] = {};
	struct userring_event *e;

	/* Another CPU may be taking the orders: it then does so for both. */
	bpf_user_ringbuf_drain(&orders, take_order, NULL, 0);
	bpf_get_current_comm(name, sizeof(name));
	if (!bpf_map_lookup_elem(&watched, name))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	__builtin_memcpy(e->name, name, sizeof(name));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
