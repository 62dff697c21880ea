/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 */
#include <uapi/linux/bpf.h>

int baseline(struct xdp_md *ctx)
{
	return XDP_PASS;
}

int classifier(struct __sk_buff *skb)
{
	return -1;
}
