// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts samples of the CPUs, per process and per stack in the kernel and in the program.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "profile.h"

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, PROFILE_PLACES);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(struct profile_stack));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROFILE_PLACES);
	__type(key, struct profile_place);
	__type(value, uint64_t);
} counts SEC(".maps");

/* Samples that had no room in the counts. */
uint64_t dropped;

SEC("perf_event")
int sample(void *ctx)
{
	struct profile_place place = {};
	uint64_t one = 1, *count;

	place.pid = bpf_get_current_pid_tgid() >> 32;
	if (!place.pid)
		return 0;	/* the CPU does nothing */
	bpf_get_current_comm(place.comm, sizeof(place.comm));
	place.kernel = bpf_get_stackid(ctx, &stacks, 0);
	place.user = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	count = bpf_map_lookup_elem(&counts, &place);
	if (!count && !bpf_map_update_elem(&counts, &place, &one, BPF_NOEXIST))
		return 0;
	if (!count)
		count = bpf_map_lookup_elem(&counts, &place);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		__sync_fetch_and_add(&dropped, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
