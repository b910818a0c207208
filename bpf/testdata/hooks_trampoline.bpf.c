// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that need a BPF trampoline, which not every kernel allows. */
#include "hooks.h"

COUNT("fentry/__x64_sys_getpgid", entry, void *ctx, 0)
COUNT("fexit/__x64_sys_getpgid", leave, void *ctx, 0)
COUNT("fmod_ret/bpf_modify_return_test", modify, void *ctx, 0)
COUNT("lsm/file_open", security, void *ctx, 0)
COUNT("lsm_cgroup/socket_bind", security_cgroup, void *ctx, 1)
COUNT("freplace/xdp_pass", replacement, void *ctx, 0)
