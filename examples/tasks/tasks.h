/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tasks.bpf.c writes and tasks.c prints. */
#ifndef TASKS_H
#define TASKS_H

/* One thread. */
struct tasks_task {
	uint32_t pid;		/* of the process */
	uint32_t tid;		/* of the thread; that of the first one is pid */
	uint32_t ppid;
	uint32_t threads;	/* of the process */
	uint32_t kernel;	/* it is a thread of the kernel */
	char comm[16];
};

_Static_assert(sizeof(struct tasks_task) == 36, "record");

#endif
