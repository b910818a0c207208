/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What opensnoop.bpf.c sends and opensnoop.c prints. */
#ifndef OPENSNOOP_H
#define OPENSNOOP_H

#define OPENSNOOP_PATH 256	/* bytes of a path that are shown, with the NUL */

struct opensnoop_event {
	uint32_t pid;		/* of the process (thread group) */
	int32_t result;		/* file descriptor, or negative error number */
	char comm[16];
	int32_t path_size;	/* with the NUL; more than OPENSNOOP_PATH: cut; negative: unreadable */
	char path[OPENSNOOP_PATH + 4];
};

_Static_assert(sizeof(struct opensnoop_event) == 288, "record");

#endif
