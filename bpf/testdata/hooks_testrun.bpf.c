// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs of types that other tools of the system attach, or that are run by themselves; and one that sees test runs end. */
#include "hooks.h"

COUNT("action", run_action, struct __sk_buff *skb, 0)
COUNT("lwt_in", run_lwt_in, struct __sk_buff *skb, 0)
COUNT("lwt_out", run_lwt_out, struct __sk_buff *skb, 0)
COUNT("lwt_xmit", run_lwt_xmit, struct __sk_buff *skb, 0)
COUNT("lwt_seg6local", run_lwt_seg6local, struct __sk_buff *skb, 0)
COUNT("syscall", by_itself, void *ctx, 0)
COUNT("raw_tracepoint.w/bpf_test_finish", finish, struct bpf_raw_tracepoint_args *ctx, 0)
