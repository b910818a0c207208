// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sets options of the TCP connections of a cgroup, and reports each connection.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "tcpopt.h"

/* 0 or empty = leave it alone */
const volatile uint32_t window = 0;	/* initial congestion window in segments */
const volatile uint32_t rto_ms = 0;	/* initial retransmission time-out */
const volatile char congestion[TCPOPT_NAME] = "";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/*
 * The kernel wants the time-out in jiffies, of which no program is told how many a second has. Their
 * counter started 300 seconds before 2^32 with the clock, so their quotient says it, except in the
 * few seconds in which both pass zero. Returns 0 then: the time-out is left alone.
 */
static __always_inline uint32_t rto_jiffies(void)
{
	int64_t ms = (int64_t)(bpf_ktime_get_ns() / 1000000) - 300000;
	int64_t jiffies = bpf_jiffies64() - (1ULL << 32);
	uint64_t hz;

	if (ms < 0) {
		ms = -ms;
		jiffies = -jiffies;
	}
	if (!rto_ms || ms < 5000 || jiffies < 0)
		return 0;
	hz = ((uint64_t)jiffies * 1000 + (uint64_t)ms / 2) / (uint64_t)ms;
	return (rto_ms * hz + 999) / 1000;
}

static __always_inline void send(struct bpf_sock_ops *ctx, uint32_t kind, int32_t window_err, int32_t congestion_err)
{
	struct tcpopt_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return;
	e->kind = kind;
	e->ipv6 = ctx->family == AF_INET6;
	if (e->ipv6) {
		e->local[0] = ctx->local_ip6[0];
		e->local[1] = ctx->local_ip6[1];
		e->local[2] = ctx->local_ip6[2];
		e->local[3] = ctx->local_ip6[3];
		e->remote[0] = ctx->remote_ip6[0];
		e->remote[1] = ctx->remote_ip6[1];
		e->remote[2] = ctx->remote_ip6[2];
		e->remote[3] = ctx->remote_ip6[3];
	} else {
		e->local[0] = ctx->local_ip4;
		e->remote[0] = ctx->remote_ip4;
		e->local[1] = e->local[2] = e->local[3] = 0;
		e->remote[1] = e->remote[2] = e->remote[3] = 0;
	}
	e->local_port = ctx->local_port;
	e->remote_port = bpf_ntohl(ctx->remote_port);
	e->window = window_err;
	e->congestion = congestion_err;
	e->rto_ms = rto_jiffies() ? rto_ms : 0;
	e->rtt_us = ctx->srtt_us >> 3;
	e->retransmitted = ctx->total_retrans;
	e->pad = 0;
	e->sent = ctx->bytes_acked;
	e->received = ctx->bytes_received;
	bpf_ringbuf_submit(e, 0);
}

static __always_inline void made(struct bpf_sock_ops *ctx, uint32_t kind)
{
	int32_t window_err = 0, congestion_err = 0;
	uint32_t segments = window;

	if (congestion[0])
		congestion_err = bpf_setsockopt(ctx, SOL_TCP, TCP_CONGESTION, (void *)congestion, sizeof(congestion));
	if (segments)
		window_err = bpf_setsockopt(ctx, SOL_TCP, TCP_BPF_IW, &segments, sizeof(segments));
	send(ctx, kind, window_err, congestion_err);
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

SEC("sockops")
int on_event(struct bpf_sock_ops *ctx)
{
	uint32_t jiffies;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TIMEOUT_INIT:
		jiffies = rto_jiffies();
		ctx->reply = jiffies ? jiffies : -1;
		return 1;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		made(ctx, TCPOPT_OPEN);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		made(ctx, TCPOPT_ACCEPT);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] == BPF_TCP_CLOSE)
			send(ctx, TCPOPT_CLOSE, 0, 0);
		break;
	}
	ctx->reply = -1;	/* what the kernel does by itself */
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
