/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What iterator programs need beside vmlinux.h: internal kernel structs, only these members, at whatever offset. */
#ifndef __BPF_ITER_H__
#define __BPF_ITER_H__

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;	/* NULL after the last one */
};

/* Of signal_struct; loaders drop the part after three underscores. */
struct signal_struct___iter {
	int nr_threads;
};

#pragma clang attribute pop

#endif
