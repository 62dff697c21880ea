/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Drops all ICMP, and prints a line to the trace for each dropped packet.
 */
#include <uapi/linux/bpf.h>
#include "frame.h"

int baseline(struct xdp_md *ctx)
{
	struct ipv4_frame *frame = ipv4_frame(ctx);

	if (!frame || frame->protocol != 1)
		return XDP_PASS;
	bpf_trace_printk("dropped\\n");
	return XDP_DROP;
}
