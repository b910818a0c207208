/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What lsm.bpf.c sends and lsm.c prints. */
#ifndef LSM_H
#define LSM_H

#define LSM_FILE 256

/* One program that a process asks to run. */
struct lsm_event {
	uint32_t pid;
	uint32_t uid;
	char comm[16];		/* of the process, which still runs its old program */
	char file[LSM_FILE];	/* NUL at its end; cut if it is longer */
};

_Static_assert(sizeof(struct lsm_event) == 280, "record");

#endif
