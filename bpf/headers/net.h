/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs at sockets and in the network stack need beside vmlinux.h: the kernel's fixed interface. */
#ifndef __BPF_NET_H__
#define __BPF_NET_H__

enum { TCX_NEXT = -1 };	/* go on with the next program on the interface */

enum { SK_DROP = 0, SK_PASS = 1 };

enum { BPF_HDR_START_MAC = 0, BPF_HDR_START_NET = 1 };

/* A packet in the stack (the members after these are not needed so far). */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;		/* network byte order */
};

/* The address of a connect, bind or sendmsg (the members after these are not needed so far). */
struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;		/* network byte order */
	__u32 user_ip6[4];	/* network byte order */
	__u32 user_port;	/* network byte order */
	__u32 family;
	__u32 type;
	__u32 protocol;
};

/* A packet that looks for a socket. */
struct bpf_sk_lookup {
	__u64 cookie;
	__u32 family;
	__u32 protocol;
	__u32 remote_ip4;	/* network byte order */
	__u32 remote_ip6[4];	/* network byte order */
	__be16 remote_port;
	__u16 pad;
	__u32 local_ip4;	/* network byte order */
	__u32 local_ip6[4];	/* network byte order */
	__u32 local_port;	/* host byte order */
	__u32 ingress_ifindex;
};

#endif
