// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What comfort.c works with: one map of each kind that the header has helpers for, and a program for each way of running one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

struct record {
	__u32 answer;
	__u32 length;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} rb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} tails SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} template SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &template } };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} tasks SEC(".maps");

const volatile __u32 answer = 1;
volatile __u64 runs;
volatile __u16 small;
volatile __u8 tiny;

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 key = answer;
	__u64 one = 1, *n = bpf_map_lookup_elem(&counts, &key);
	struct record r = { answer, (__u32)(ctx->data_end - ctx->data) };

	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	runs++;
	bpf_ringbuf_output(&rb, &r, sizeof r, 0);
	return XDP_PASS;
}

static long take(struct bpf_dynptr *request, void *sum)
{
	__u32 v = 0;

	bpf_dynptr_read(&v, sizeof v, request, 0, 0);
	*(__u32 *)sum += v;
	return 0;
}

SEC("xdp")
int drain(struct xdp_md *ctx)
{
	__u32 sum = 0;

	bpf_user_ringbuf_drain(&requests, take, &sum, 0);
	return (int)sum;
}

SEC("raw_tp/sys_enter")
int enter(void *ctx)
{
	tiny = 1;
	return 0;
}

SEC("iter/bpf_map_elem")
int dump(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	static const char format[] = "%u\n";
	__u64 arg;

	if (!key)
		return 0;
	arg = *key;
	bpf_seq_printf(ctx->meta->seq, format, sizeof format, &arg, sizeof arg);
	return 0;
}

SEC("perf_event")
int sample(void *ctx)
{
	return 0;
}

SEC("socket")
int filter(struct __sk_buff *skb)
{
	return (int)skb->len;
}

SEC("tcx/ingress")
int ingress(struct __sk_buff *skb)
{
	return -1; /* TCX_NEXT */
}

SEC("uprobe")
int probe(void *ctx)
{
	return 0;
}

SEC("syscall")
int nothing(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
