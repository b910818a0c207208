/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs here send. */
#ifndef WITNESS_H
#define WITNESS_H

/* One call of getpgid with a marked number. */
struct witness_event {
	uint64_t ns;	/* when, by CLOCK_MONOTONIC */
	uint32_t seq;	/* the low 24 bits of the number */
	uint32_t mark;	/* the high 8 bits */
};

_Static_assert(sizeof(struct witness_event) == 16, "record");

#endif
