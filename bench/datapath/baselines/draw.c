/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Writes the next source address into the frame, then calls the measured program. This costs the same for all programs.
 */
#include <uapi/linux/bpf.h>

#define SOURCE_OFFSET 26 /* Ethernet, and 12 bytes of IPv4 */

BPF_ARRAY(addresses, u32, ADDRESSES);
BPF_ARRAY(position, u32, 1);
BPF_PROG_ARRAY(measured, 1);

int draw(struct xdp_md *ctx)
{
	u8 *frame = (void *)(long)ctx->data;
	u32 zero = 0, *next, *address;

	if (frame + SOURCE_OFFSET + 4 > (u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	next = position.lookup(&zero);
	if (!next)
		return XDP_ABORTED;
	*next = *next + 1 < ADDRESSES ? *next + 1 : 0;
	address = addresses.lookup(next);
	if (!address)
		return XDP_ABORTED;
	*(u32 *)(frame + SOURCE_OFFSET) = *address;
	measured.call(ctx, 0);
	return XDP_ABORTED;
}
