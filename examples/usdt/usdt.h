/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What usdt.bpf.c sends and usdt.c prints. */
#ifndef USDT_H
#define USDT_H

/* A process has passed a probe. */
struct usdt_event {
	uint64_t probe;		/* which of those that were asked for, from 0 on */
	uint32_t pid;
	uint32_t tid;
	char comm[16];
};

_Static_assert(sizeof(struct usdt_event) == 32, "record");

#endif
