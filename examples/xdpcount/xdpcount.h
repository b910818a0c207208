/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What xdpcount.bpf.c counts and xdpcount.c prints. */
#ifndef XDPCOUNT_H
#define XDPCOUNT_H

/* Keys of the map: what a frame carries. */
enum {
	XDPCOUNT_IP4_TCP,
	XDPCOUNT_IP4_UDP,
	XDPCOUNT_IP4_ICMP,
	XDPCOUNT_IP4_OTHER,
	XDPCOUNT_IP6_TCP,
	XDPCOUNT_IP6_UDP,
	XDPCOUNT_IP6_ICMP,
	XDPCOUNT_IP6_OTHER,
	XDPCOUNT_ARP,
	XDPCOUNT_OTHER,
	XDPCOUNT_KINDS,	/* how many there are */
};

/* Value of the map, one per CPU. */
struct xdpcount_sum {
	uint64_t packets;
	uint64_t bytes;	/* whole frames, with the Ethernet header */
};

#endif
