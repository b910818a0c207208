/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tcx.bpf.c counts and tcx.c prints. */
#ifndef TCX_H
#define TCX_H

/* Key of the map: a way and what a packet carries. */
struct tcx_kind {
	uint8_t out;		/* 0: coming in, 1: going out */
	uint8_t protocol;	/* of IP; 0 for what is not IP */
	uint16_t ethertype;	/* host byte order */
};

/* Value of the map, one per CPU. */
struct tcx_sum {
	uint64_t packets;
	uint64_t bytes;
};

_Static_assert(sizeof(struct tcx_kind) == 4, "key");

#endif
