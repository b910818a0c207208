/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Each program of the hook tests counts that it ran. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

static __always_inline void hit(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&hits, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* A program that counts and answers. */
#define COUNT(section, name, context, answer)	\
	SEC(section)				\
	int name(context)			\
	{					\
		hit();				\
		return answer;			\
	}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
