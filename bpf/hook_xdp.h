/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The filter as an XDP program: frames as they arrive.
 */
#ifndef PINGKILLER_HOOK_XDP_H
#define PINGKILLER_HOOK_XDP_H

int pingkiller(struct xdp_md *ctx)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	u64 start = timing_start();
	enum content content;
	struct endpoint endpoint[SIDES];
	struct packet packet;

	begin(&packet, endpoint, ctx->data_end - ctx->data);
	content = parse_frame(&cursor, &packet);
	return settle(content, &packet, start, ctx->ingress_ifindex) ? XDP_DROP : XDP_PASS;
}

#endif
