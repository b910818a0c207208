// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One map of each shape that user space has to treat differently, variables, and programs in a fixed order. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MAP(name, kind, ksize, vsize, n) \
	struct { \
		__uint(type, BPF_MAP_TYPE_##kind); \
		__uint(key_size, ksize); \
		__uint(value_size, vsize); \
		__uint(max_entries, n); \
	} name SEC(".maps")

MAP(hash, HASH, 4, 8, 1024);
MAP(array, ARRAY, 4, 8, 4);
MAP(percpu, PERCPU_HASH, 4, 5, 4);
MAP(queue, QUEUE, 0, 8, 2);
MAP(stack, STACK, 0, 8, 2);

int second(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, 4);
	__uint(max_entries, 2);
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = { [1] = (void *)&second },
};

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 1);
} in0 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(key_size, 4);
	__uint(max_entries, 2);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = { [1] = (void *)&in0 },
};

volatile const __u32 answer = 1;
__u64 counter = 40;
__u64 zeroed;

SEC("socket/first")
int first(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&array, &key);

	counter += answer;
	if (v)
		*v = counter;
	bpf_tail_call(skb, &jumps, 1);
	return 0;
}

SEC("socket/second")
int second(struct __sk_buff *skb)
{
	zeroed++;
	return answer;
}

SEC("?socket/optional")
int optional(struct __sk_buff *skb)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
