/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What uprobe.bpf.c counts and sends and uprobe.c prints. */
#ifndef UPROBE_H
#define UPROBE_H

/* Value of the map sums, one per CPU. All zero before the first call. */
struct uprobe_sum {
	uint64_t calls;		/* that began */
	uint64_t timed;		/* that returned and whose start was seen */
	uint64_t total_ns;	/* of those that were timed */
	uint64_t min_ns;
	uint64_t max_ns;
};

/* One call that has returned. */
struct uprobe_call {
	uint64_t duration_ns;
	uint32_t pid;
	uint32_t tid;
	char comm[16];
};

_Static_assert(sizeof(struct uprobe_call) == 32, "record of a call");

#endif
