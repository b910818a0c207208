/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tcpopt.bpf.c sends and tcpopt.c prints. */
#ifndef TCPOPT_H
#define TCPOPT_H

enum { TCPOPT_OPEN = 1, TCPOPT_ACCEPT = 2, TCPOPT_CLOSE = 3 };

#define TCPOPT_NAME 16	/* of a congestion control, with its NUL */

/* One connection that was made, from here or from the other side, or that has ended. */
struct tcpopt_event {
	uint32_t kind;		/* TCPOPT_* */
	uint32_t ipv6;		/* the addresses are IPv6 */
	uint32_t local[4];	/* network byte order; IPv4: only the first */
	uint32_t remote[4];
	uint32_t local_port;	/* host byte order */
	uint32_t remote_port;
	/* made: what became of each setting: 0 or a negative error number */
	int32_t window;
	int32_t congestion;
	uint32_t rto_ms;	/* made: what was answered for it; 0 = left alone */
	uint32_t rtt_us;	/* smoothed round-trip time */
	uint32_t retransmitted;	/* segments */
	uint32_t pad;
	uint64_t sent;		/* bytes, acknowledged by the other side */
	uint64_t received;	/* bytes */
};

_Static_assert(sizeof(struct tcpopt_event) == 88, "record");

#endif
