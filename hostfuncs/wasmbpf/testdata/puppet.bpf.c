// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Maps and programs for the tests of the wasm_bpf module. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring_a SEC(".maps"), ring_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__uint(value_size, 8);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} socks SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [0] = &inner } };

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__uint(value_size, 8);
} cpus SEC(".maps");

struct record {
	__u32 number;
	__u8 fill[508];
};

/* Run by a test with a ring, a size and a number as arguments. */
SEC("raw_tp")
int emit(struct bpf_raw_tracepoint_args *ctx)
{
	static struct record r;

	r.number = ctx->args[2];
	if (ctx->args[0] == 0)
		bpf_ringbuf_output(&ring_a, &r, ctx->args[1] & 511, 0);
	else
		bpf_ringbuf_output(&ring_b, &r, ctx->args[1] & 511, 0);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int emit_perf(void *ctx)
{
	__u64 r = 0x1122334455667788;

	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &r, sizeof(r));
	return 0;
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int tc_pass(struct __sk_buff *skb)
{
	return 0;
}

SEC("sockops")
int ops(struct bpf_sock_ops *ctx)
{
	return 1;
}

SEC("cgroup_skb/egress")
int out(struct __sk_buff *skb)
{
	return 1;
}

SEC("sk_msg")
int msg(struct sk_msg_md *ctx)
{
	return SK_PASS;
}

SEC("uprobe")
int probe(void *ctx)
{
	return 0;
}

SEC("raw_tracepoint/no_such_tracepoint")
int nowhere(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
