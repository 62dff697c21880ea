/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The filter: parse the frame, decide, count, return. Compiled on the host by BCC against the headers in include/, which
 * stand in for the kernel's. The options come as -D definitions, made in plugins/module_utils/_pingkiller/options.py:
 *
 *   POLICY                POLICY_PASS or POLICY_DROP
 *   FILTERS_ICMP4(t, c)   is ICMP type t, code c one that policy and rate limit apply to? (FILTERS_ICMP6: ICMPv6)
 *   PROTECT, MONITOR      0 or 1
 *   HOST_PINS, LIST_PINS, FILTER_PINS   directories of the pinned maps
 */
#include <uapi/linux/bpf.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#include "schema.h"
#include "protocols.h"
#include "maps.h"
#include "clock.h"
#include "parse.h"
#include "lists.h"
#include "verdict.h"
#include "carry.h"

/* The only place that counts. */
static __always_inline void count(enum reason reason, const struct packet *packet)
{
	struct counters *mine;
	struct counter *cell;
	u32 zero = 0;

	mine = counters.lookup(&zero);
	if (!mine)
		return;
	cell = &mine->cell[reason][packet->family];
	cell->packets++;
	cell->bytes += packet->bytes;
}

int pingkiller(struct xdp_md *ctx)
{
	struct cursor cursor = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct packet packet;
	enum content content;
	enum reason reason;

	packet.family = OTHER;
	packet.bytes = ctx->data_end - ctx->data;
	content = parse_frame(&cursor, &packet);
	reason = decide(content, &packet);
	count(reason, &packet);
	return reason >= FIRST_DROP && !MONITOR ? XDP_DROP : XDP_PASS;
}
