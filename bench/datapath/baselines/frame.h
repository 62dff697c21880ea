/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The Ethernet and IPv4 headers that the baselines read.
 */
struct ipv4_frame {
	u8 ethernet[12];
	u16 ethertype;
	u8 version_ihl;
	u8 service;
	u16 length, identification, fragment;
	u8 ttl;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 destination;
} __attribute__((packed));

static inline __attribute__((always_inline)) struct ipv4_frame *ipv4_frame(struct xdp_md *ctx)
{
	struct ipv4_frame *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end || frame->ethertype != 0x0008)
		return NULL;
	return frame;
}
