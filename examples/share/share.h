/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the BPF program and the plugin both know. */
#ifndef SHARE_H
#define SHARE_H

#define SHARE_COMM 16

/* The key of the map: the name of a command, padded with zeros. */
struct share_command {
	char comm[SHARE_COMM];
};

#endif
