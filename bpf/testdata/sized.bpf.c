// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records of any size, in a ring that user space reads and in one that it writes. */
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

struct args {
	__u32 n;
	__u32 size;
};

static char bytes[2 * MOST];

static long number(__u32 i, void *ctx)
{
	if (i < sizeof(bytes))
		bytes[i] = i;
	return 0;
}

/* n records of size bytes; the bytes of a record are numbers from its own one on. */
SEC("syscall")
int sized(struct args *ctx)
{
	__u32 n = ctx->n, size = ctx->size, i;

	if (size > MOST)
		return 1;
	if (!bytes[1])
		bpf_loop(sizeof(bytes), number, 0, 0);
	for (i = 0; i < n && i < 64; i++)
		bpf_ringbuf_output(&ring, bytes + i, size, 0);
	return 0;
}

static long each(__u32 i, void *ctx)
{
	__u64 *r = bpf_ringbuf_reserve(&ring, 64, 0);

	if (!r)
		return 1;
	r[0] = i;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* n records of 64 bytes, quickly. */
SEC("syscall")
int fill64(__u32 *n)
{
	bpf_loop(*n, each, 0, 0);
	return 0;
}

static char taken[MOST];
__u64 records;

static long take(struct bpf_dynptr *d, void *ctx)
{
	__u32 first = 0, size;

	bpf_dynptr_read(&first, sizeof(first), d, 0, 0);
	size = first;
	if (size > MOST)
		return 1;
	if (!bpf_dynptr_read(taken, size, d, 0, 0))
		bpf_ringbuf_output(&ring, taken, size, 0);
	records++;
	return 0;
}

/* Passes on all that user space wrote: records that begin with their size. Answers how many there were. */
SEC("syscall")
int pass(struct args *ctx)
{
	return bpf_user_ringbuf_drain(&user, take, 0, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
