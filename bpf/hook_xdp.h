/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The filter as an XDP program. It sees frames when they arrive.
 */
#ifndef PINGKILLER_HOOK_XDP_H
#define PINGKILLER_HOOK_XDP_H

/* While the mode changes, a classifier filters the packets that no XDP program has seen. This mark tells the classifier
 * that an XDP program has seen a packet. If a driver has no room for the mark, the packet is counted twice. Nothing
 * worse happens.
 */
static __always_inline void mark(struct xdp_md *ctx)
{
	u32 *metadata;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*metadata)))
		return;
	metadata = (void *)(long)ctx->data_meta;
	if ((void *)(metadata + 1) <= (void *)(long)ctx->data)
		*metadata = MARK_SEEN;
}

int pingkiller(struct xdp_md *ctx)
{
	struct cursor cursor = {.position = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
	u64 start = timing_start();
	struct endpoint endpoint[SIDES];
	struct packet packet;

	begin(&packet, endpoint, ctx->data_end - ctx->data);
	packet.content = parse_frame(&cursor, &packet);
	if (settle(&packet, start, ctx->ingress_ifindex))
		return XDP_DROP;
	if (SWITCHING)
		mark(ctx);
	return XDP_PASS;
}

#endif
