/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The filter. It parses a frame, decides, counts and returns. BCC compiles it on the host against the headers in
 * include/, which replace the kernel's headers. The options are -D definitions from
 * plugins/module_utils/_pingkiller/filters/options.py:
 *
 *   HOOK_TC                          0: XDP program, 1: tc classifier
 *   POLICY                           POLICY_PASS or POLICY_DROP
 *   FILTERS_ICMP4(t, c)              do policy and rate limit apply to ICMP type t, code c? (FILTERS_ICMP6: ICMPv6)
 *   FILTERS_ALL                      do they apply to all types? 0 or 1
 *   FORWARDED                        do they apply to forwarded packets, and policy to later fragments? 0 or 1
 *   STRICT                           0: pass packets that cannot be classified, 1: treat them as ICMP of filtered types
 *   PROTECT, PROTECT_REDIRECTS, MONITOR   0 or 1
 *   RATELIMIT_PPS                    packets per second and source, 0: no limit
 *   RATELIMIT_BLOCK_NS, RATELIMIT_IPV6_PREFIX
 *   TIMING_SAMPLE                    measure one frame in this many, 0: none
 *   EVENTS                           0 or EVENTS_DROPPED, EVENTS_ALL_ICMP, EVENTS_TRACE
 *   EVENTS_PER_SECOND, TICKS_PER_SECOND
 *   TRACE_EXCLUDES4(w)               does the trace leave out the address in w[0]? (TRACE_EXCLUDES6: in w[0] to w[3])
 *   SWITCHING                        1: this program filters only while the mode of an XDP program changes
 *   HOST_PINS, LIST_PINS, FILTER_PINS   directories of the pinned maps
 */
#include <uapi/linux/bpf.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define POLICY_PASS REASON_POLICY_PASS
#define POLICY_DROP REASON_POLICY_DROP

#define EVENTS_DROPPED 1
#define EVENTS_ALL_ICMP 2
#define EVENTS_TRACE 3
#define TRACING (EVENTS == EVENTS_TRACE)

/* While the mode changes, the XDP program writes this mark before each packet that it passes. */
#define MARK_SEEN 0x70696e67

#include "schema.h"
#include "protocols.h"
#include "maps.h"
#include "clock.h"
#include "parse.h"
#include "listing.h"
#include "lists.h"
#include "ratelimit.h"
#include "timing.h"
#include "events.h"
#include "verdict.h"

/* Packets are counted only here. */
static __always_inline void count(enum reason reason, const struct packet *packet)
{
	u32 number = reason * FAMILIES + packet->family;
	struct counters *mine;
	struct counter *cell;
	u32 zero = 0;

	mine = counters.lookup(&zero);
	/* The compiler knows that the number is in range, but the verifier must see the check. */
	asm volatile("" : "+r"(number));
	if (!mine || number >= REASONS * FAMILIES)
		return;
	cell = &mine->cell[0][0] + number;
	cell->packets++;
	cell->bytes += packet->bytes;
}

static __always_inline void begin(struct packet *packet, struct endpoint *endpoint, u32 bytes)
{
	packet->endpoint = endpoint;
	packet->family = FAMILY_OTHER;
	packet->bytes = bytes;
	packet->vlan = NO_VLAN;
	packet->protocol = 0;
	packet->type = 0;
	packet->code = 0;
	packet->hop_limit = 0;
	packet->came_in_by = 0;
}

/* Decides, counts and reports. Returns whether to drop the frame. */
static __always_inline bool settle(struct packet *packet, u64 start, u32 interface)
{
	enum reason reason = decide(packet);
	bool drop = reason >= FIRST_DROP && !MONITOR;
	u32 processing;

	count(MONITOR && reason >= FIRST_DROP ? reason + (FIRST_WOULD_DROP - FIRST_DROP) : reason, packet);
	processing = timing_stop(start, drop);
	report(reason, packet, processing, interface);
	return drop;
}

#if HOOK_TC
#include "hook_tc.h"
#else
#include "hook_xdp.h"
#endif
