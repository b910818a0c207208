/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What portsteer.bpf.c sends and portsteer.c prints. */
#ifndef PORTSTEER_H
#define PORTSTEER_H

/* One connection that came to a port of the range. */
struct portsteer_event {
	uint32_t ipv6;		/* the address is IPv6 */
	uint32_t remote[4];	/* network byte order; IPv4: only the first */
	uint32_t remote_port;
	uint32_t port;		/* that it came to */
	int32_t error;		/* 0, or a negative number of Linux: it did not reach the socket */
};

_Static_assert(sizeof(struct portsteer_event) == 32, "record");

#endif
