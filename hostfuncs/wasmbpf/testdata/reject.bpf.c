// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that the verifier must reject: it reads past the packet. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int past_the_end(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
