/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What userring.c orders and userring.bpf.c sends. */
#ifndef USERRING_H
#define USERRING_H

#define USERRING_NAME 16	/* of a command, with its NUL */
#define USERRING_NAMES 64	/* at most */

enum { USERRING_WATCH = 1, USERRING_FORGET = 2 };

/* What the guest writes into its ring. */
struct userring_order {
	uint32_t what;		/* USERRING_WATCH, USERRING_FORGET */
	char name[USERRING_NAME];
};

/* What the program writes into the other ring: a command that is watched has started. */
struct userring_event {
	uint32_t pid;
	char name[USERRING_NAME];
};

_Static_assert(sizeof(struct userring_order) == 20 && sizeof(struct userring_event) == 20, "records");

#endif
