// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts the commands that start, in whichever table the guest has put into place.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "mapinmap.h"

struct table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAPINMAP_COMMANDS);
	__uint(key_size, sizeof(struct mapinmap_command));
	__uint(value_size, sizeof(uint64_t));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__array(values, struct table);
} current SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	struct mapinmap_command command = {};
	uint64_t one = 1, *count;
	uint32_t zero = 0;
	void *table = bpf_map_lookup_elem(&current, &zero);

	/* From here on it is this table, also if the guest puts another one there. */
	if (!table)
		return 0;
	bpf_get_current_comm(command.name, sizeof(command.name));
	if (!bpf_map_update_elem(table, &command, &one, BPF_NOEXIST))
		return 0;
	count = bpf_map_lookup_elem(table, &command);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
