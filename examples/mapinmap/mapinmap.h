/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What mapinmap.bpf.c counts and mapinmap.c prints. */
#ifndef MAPINMAP_H
#define MAPINMAP_H

#define MAPINMAP_COMMANDS 1024	/* that one table can have */

/* Key of a table: a command. Its value is how often it was started, a uint64_t. */
struct mapinmap_command {
	char name[16];
};

#endif
