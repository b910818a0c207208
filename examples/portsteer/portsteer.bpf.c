// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Gives the TCP connections that come to a range of ports to one listening socket, whatever port that has.
#include "vmlinux.h"
#include "net.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "portsteer.h"

const volatile uint32_t first = 0;
const volatile uint32_t last = 0;

/* The socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

static __always_inline void report(struct bpf_sk_lookup *ctx, int error)
{
	struct portsteer_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	uint32_t ip4 = ctx->remote_ip4, ip6 = ctx->remote_ip6[0];

	/* The verifier wants each member read by itself, not the address of one chosen first. */
	barrier_var(ip4);
	barrier_var(ip6);
	if (!e)
		return;
	e->ipv6 = ctx->family == AF_INET6;
	e->remote[0] = e->ipv6 ? ip6 : ip4;
	e->remote[1] = ctx->remote_ip6[1];
	e->remote[2] = ctx->remote_ip6[2];
	e->remote[3] = ctx->remote_ip6[3];
	e->remote_port = bpf_ntohs(ctx->remote_port);
	e->port = ctx->local_port;
	e->error = error;
	bpf_ringbuf_submit(e, 0);
}

SEC("sk_lookup")
int steer(struct bpf_sk_lookup *ctx)
{
	uint32_t zero = 0, port = ctx->local_port;
	struct bpf_sock *sk;
	int error;

	/* Passing without a socket means that the kernel looks for one as ever. */
	if (ctx->protocol != IPPROTO_TCP || port < first || port > last)
		return SK_PASS;
	sk = bpf_map_lookup_elem(&target, &zero);
	if (!sk) {
		report(ctx, -2);	/* ENOENT: the socket was closed */
		return SK_PASS;
	}
	error = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	report(ctx, error);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
