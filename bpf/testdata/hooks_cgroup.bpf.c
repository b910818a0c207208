// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that a cgroup runs, and that allow everything. */
#include "hooks.h"

COUNT("cgroup_skb/ingress", skb_in, struct __sk_buff *skb, 1)
COUNT("cgroup_skb/egress", skb_out, struct __sk_buff *skb, 1)
COUNT("cgroup/skb", skb_open, struct __sk_buff *skb, 1)
COUNT("cgroup/sock_create", sock_create, void *ctx, 1)
COUNT("cgroup/sock_release", sock_release, void *ctx, 1)
COUNT("cgroup/post_bind4", post_bind4, void *ctx, 1)
COUNT("cgroup/bind4", bind4, void *ctx, 1)
COUNT("cgroup/connect4", connect4, void *ctx, 1)
COUNT("cgroup/sendmsg4", sendmsg4, void *ctx, 1)
COUNT("cgroup/recvmsg4", recvmsg4, void *ctx, 1)
COUNT("cgroup/getpeername4", getpeername4, void *ctx, 1)
COUNT("cgroup/getsockname4", getsockname4, void *ctx, 1)
COUNT("cgroup/getsockopt", getsockopt, void *ctx, 1)
COUNT("cgroup/setsockopt", setsockopt, void *ctx, 1)
COUNT("cgroup/sysctl", sysctl, void *ctx, 1)
COUNT("cgroup/dev", device, void *ctx, 1)
COUNT("sockops", ops, void *ctx, 1)
