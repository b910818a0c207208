/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What execsnoop.bpf.c sends and execsnoop.c prints. */
#ifndef EXECSNOOP_H
#define EXECSNOOP_H

enum { EXECSNOOP_EXEC = 1, EXECSNOOP_EXIT = 2 };

#define EXECSNOOP_ARGS 256

struct execsnoop_event {
	uint32_t kind;		/* EXECSNOOP_EXEC or EXECSNOOP_EXIT */
	uint32_t pid;		/* of the process (thread group) */
	uint32_t ppid;
	uint32_t exit_code;	/* exit: as wait(2) gives it: status << 8 | signal */
	uint64_t duration_ns;	/* exit: since the exec */
	char comm[16];
	/* exec only; an exit record ends here */
	uint32_t args_len;	/* bytes used in args */
	uint32_t args_total;	/* bytes that there were */
	char args[EXECSNOOP_ARGS];	/* NUL after each argument */
};

#define EXECSNOOP_EXIT_SIZE 40

_Static_assert(__builtin_offsetof(struct execsnoop_event, args_len) == EXECSNOOP_EXIT_SIZE, "exit record");
_Static_assert(sizeof(struct execsnoop_event) == 304, "exec record");

#endif
