// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that need a BPF trampoline, which not every kernel allows. */
#include "hooks.h"

COUNT("fentry/__x64_sys_getpgid", entry, void *ctx, 0)
COUNT("fexit/__x64_sys_getpgid", leave, void *ctx, 0)

/* The thread that these three refuse what they are asked for. */
volatile const __u32 refused_thread;

static __always_inline int refused(void)
{
	hit();
	return (__u32)bpf_get_current_pid_tgid() == refused_thread;
}

SEC("fmod_ret/security_file_open")
int modify(void *ctx)
{
	return refused() ? -1 : 0;
}

SEC("lsm/file_open")
int security(void *ctx)
{
	return refused() ? -1 : 0;
}

SEC("lsm_cgroup/socket_bind")
int security_cgroup(void *ctx)
{
	return !refused();
}

COUNT("freplace/xdp_pass", replacement, struct xdp_md *ctx, 2)
