/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What runqlat.bpf.c counts and runqlat.c draws. */
#ifndef RUNQLAT_H
#define RUNQLAT_H

#define RUNQLAT_SLOTS 32

/* Slot 0 counts waits below 2 us, slot n those from 2^n us, the last one all that were longer. */
struct runqlat_histogram {
	uint64_t slots[RUNQLAT_SLOTS];
};

_Static_assert(sizeof(struct runqlat_histogram) == 256, "value of the map");

#endif
