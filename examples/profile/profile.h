/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What profile.bpf.c counts and profile.c prints. */
#ifndef PROFILE_H
#define PROFILE_H

#define PROFILE_DEPTH 127	/* frames of a stack, which is also the kernel's limit */

#define PROFILE_PLACES 16384	/* at most */

/* Key of the counts: a place where samples were taken. */
struct profile_place {
	uint32_t pid;
	int32_t user;		/* number of the stack, or a negative number of Linux: there is none */
	int32_t kernel;
	char comm[16];
};

/* Value of the stacks: return addresses, the innermost first, then zeros. */
struct profile_stack {
	uint64_t frames[PROFILE_DEPTH];
};

_Static_assert(sizeof(struct profile_place) == 28, "key");

#endif
