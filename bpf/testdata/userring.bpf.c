// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads what user space writes to a ring (Linux 6.1) and passes it on. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MOST 4096

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} user SEC(".maps");

static char taken[MOST];
__u64 records;

static long take(struct bpf_dynptr *d, void *ctx)
{
	__u32 first = 0, size;

	bpf_dynptr_read(&first, sizeof(first), d, 0, 0);
	size = first;
	if (size <= MOST && !bpf_dynptr_read(taken, size, d, 0, 0))
		bpf_ringbuf_output(&ring, taken, size, 0);
	records++;
	return 0;
}

/* Passes on all that user space wrote: records that begin with their size. Answers how many there were. */
SEC("raw_tp")
int pass(void *ctx)
{
	return bpf_user_ringbuf_drain(&user, take, 0, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
