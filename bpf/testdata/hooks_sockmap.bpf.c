// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that see what sockets in a map send and receive, and let it pass. */
#include "hooks.h"

struct __sk_buff {
	__u32 len;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} socks SEC(".maps");

COUNT("sk_msg", message, void *ctx, 1)
COUNT("sk_skb/verdict", verdict, struct __sk_buff *skb, 1)
COUNT("sk_skb/stream_parser", parser, struct __sk_buff *skb, skb->len)
COUNT("sk_skb/stream_verdict", judge, struct __sk_buff *skb, 1)
COUNT("sk_skb", unknown, struct __sk_buff *skb, 1)
