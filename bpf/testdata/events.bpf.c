// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that send n records each, in every way there is, for the tests of the readers and of loss counting. A test
 * runs them with n as the first argument; raw tracepoints can be run so since Linux 5.10, syscall programs only since 5.14. They
 * are loaded when a test asks for them, all but the two that most tests use. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	__u64 number;
	__u64 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8192);
} other SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

__u64 sent_ring, sent_other, sent_perf;

SEC("raw_tp")
int output(struct bpf_raw_tracepoint_args *ctx)
{
	struct record r = {};
	__u32 n = ctx->args[0], i;

	for (i = 0; i < n && i < 64; i++) {
		r.number = sent_ring++;
		bpf_ringbuf_output(&ring, &r, sizeof(r), 0);
	}
	return 0;
}

SEC("raw_tp")
int output_other(struct bpf_raw_tracepoint_args *ctx)
{
	struct record r = {};
	__u32 n = ctx->args[0], i;

	for (i = 0; i < n && i < 64; i++) {
		r.number = sent_other++;
		bpf_ringbuf_output(&other, &r, sizeof(r), 0);
	}
	return 0;
}

/* Every third record is given up, which is no loss; jumps lead over and around the calls. */
SEC("?raw_tp")
int reserve(struct bpf_raw_tracepoint_args *ctx)
{
	struct record *r;
	__u32 n = ctx->args[0], i;

	for (i = 0; i < n && i < 64; i++) {
		if (i % 5 == 4)
			r = bpf_ringbuf_reserve(&other, sizeof(*r), 0);
		else
			r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
		if (i % 5 == 4)
			sent_other++;
		else
			sent_ring++;
		if (!r)
			continue;
		r->number = i;
		if (i % 3 == 2)
			bpf_ringbuf_discard(r, 0);
		else
			bpf_ringbuf_submit(r, 0);
	}
	return 0;
}

/* A helper of Linux 5.19. */
SEC("?raw_tp")
int dynptr(struct bpf_raw_tracepoint_args *ctx)
{
	struct bpf_dynptr d;
	__u32 n = ctx->args[0], i;
	__u64 v;

	for (i = 0; i < n && i < 64; i++) {
		v = sent_other++;
		if (bpf_ringbuf_reserve_dynptr(&other, 16, 0, &d)) {
			bpf_ringbuf_discard_dynptr(&d, 0);
			continue;
		}
		bpf_dynptr_write(&d, 0, &v, sizeof(v), 0);
		bpf_ringbuf_submit_dynptr(&d, 0);
	}
	return 0;
}

static __noinline long send_one(__u64 number)
{
	struct record r = { .number = number };

	return bpf_ringbuf_output(&other, &r, sizeof(r), 0);
}

__noinline int send_global(__u64 number)
{
	struct record r = { .number = number };

	if (bpf_ringbuf_output(&ring, &r, sizeof(r), 0))
		return -1;
	return 0;
}

static long each(__u32 i, void *ctx)
{
	__sync_fetch_and_add(&sent_other, 1);
	send_one(i);
	return 0;
}

/* bpf_loop is of Linux 5.17. */
SEC("?raw_tp")
int subprogram(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 n = ctx->args[0], i;

	bpf_loop(n, each, 0, 0);
	for (i = 0; i < n && i < 64; i++) {
		sent_ring++;
		send_global(i);
	}
	return 0;
}

/* The ring is chosen at run time. */
SEC("?raw_tp")
int chosen(struct bpf_raw_tracepoint_args *ctx)
{
	struct record r = {};
	__u32 n = ctx->args[0], i;
	void *map;

	for (i = 0; i < n && i < 64; i++) {
		if (i & 1) {
			map = &other;
			sent_other++;
		} else {
			map = &ring;
			sent_ring++;
		}
		asm volatile("" : "+r"(map));
		bpf_ringbuf_output(map, &r, sizeof(r), 0);
	}
	return 0;
}

static __noinline long send_to(void *map, __u64 number)
{
	struct record r = { .number = number };

	if (map == &ring)
		sent_ring++;
	else
		sent_other++;
	return bpf_ringbuf_output(map, &r, sizeof(r), 0);
}

/* The ring is an argument of a function. */
SEC("?raw_tp")
int argument(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 n = ctx->args[0], i;

	for (i = 0; i < n && i < 64; i++) {
		send_to(&ring, i);
		send_to(&other, i);
		send_to(&other, i);
	}
	return 0;
}

SEC("xdp")
int perf_one(struct xdp_md *ctx)
{
	struct record r = { .number = sent_perf };

	__sync_fetch_and_add(&sent_perf, 1);
	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &r, sizeof(r));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
