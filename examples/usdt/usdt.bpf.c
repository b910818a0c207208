// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reports each time that a process passes a static probe of a program. The guest says which probes.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "usdt.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

SEC("usdt")
int on_probe(struct pt_regs *ctx)
{
	struct usdt_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	uint64_t thread = bpf_get_current_pid_tgid();

	if (!e)
		return 0;
	/* The number that the guest gave when it attached: one program serves all probes. */
	e->probe = bpf_get_attach_cookie(ctx);
	e->pid = thread >> 32;
	e->tid = thread;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
