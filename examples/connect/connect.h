/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What connect.bpf.c sends and looks up, and connect.c prints and sets. */
#ifndef CONNECT_H
#define CONNECT_H

#define CONNECT_RULES 256	/* at most */

/* Key of the rules: an address with its leading bits. IPv4 is ::ffff:a.b.c.d, as everywhere here. */
struct connect_rule {
	uint32_t bits;
	uint32_t address[4];	/* network byte order */
};

/* One connection that a process asks for. */
struct connect_event {
	uint32_t pid;
	uint32_t udp;		/* 1: UDP, 0: TCP or another */
	uint32_t refused;
	uint32_t port;		/* host byte order */
	uint32_t address[4];
	char comm[16];
};

_Static_assert(sizeof(struct connect_rule) == 20, "key");
_Static_assert(sizeof(struct connect_event) == 48, "record");

#endif
