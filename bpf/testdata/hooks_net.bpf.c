// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that see packets, and let them pass. */
#include "hooks.h"

COUNT("xdp", xdp_pass, struct xdp_md *ctx, 2)
COUNT("xdp", xdp_other, struct xdp_md *ctx, 2)
COUNT("xdp.frags", xdp_frags, struct xdp_md *ctx, 2)
COUNT("xdp/devmap", xdp_devmap, struct xdp_md *ctx, 2)
COUNT("tcx/ingress", tcx_in, struct __sk_buff *skb, -1)
COUNT("tcx/egress", tcx_out, struct __sk_buff *skb, -1)
COUNT("tc", tc_plain, struct __sk_buff *skb, -1)
COUNT("classifier", tc_old, struct __sk_buff *skb, -1)
COUNT("action", tc_action, struct __sk_buff *skb, -1)
COUNT("netkit/primary", nk, struct __sk_buff *skb, -1)
COUNT("socket", filter, struct __sk_buff *skb, -1)
COUNT("sk_lookup", lookup, void *ctx, 1)
COUNT("flow_dissector", dissect, struct __sk_buff *skb, 0)
COUNT("netfilter", nf, void *ctx, 1)
COUNT("lwt_in", tunnel, struct __sk_buff *skb, 0)
COUNT("sk_reuseport", reuse, void *ctx, 1)
COUNT("lirc_mode2", remote, void *ctx, 0)
