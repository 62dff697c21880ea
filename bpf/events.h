/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Reports packets to user space while there is a listener, through a ring buffer that all filters of the host share.
 * Each CPU sends at most EVENTS_PER_SECOND events. Events above this limit are counted as suppressed. Events that find
 * the buffer full are counted as lost.
 */
#ifndef PINGKILLER_EVENTS_H
#define PINGKILLER_EVENTS_H

#if EVENTS

/* The listener polls the buffer. Waking the listener for every packet would cost more than the packet itself. */
#define RINGBUF_NO_WAKEUP 1

struct events_table_t {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	u32 max_entries;
};
__attribute__((section("maps/ringbuf:" HOST_PINS "/events"))) struct events_table_t events = {.max_entries = 1};

BPF_TABLE_PINNED("percpu_array", u32, struct event_budget, event_budget, 1, FILTER_PINS "/event_budget");

static __always_inline bool is_reported(enum reason reason, const struct packet *packet)
{
	if (TRACING && packet->content != CONTENT_UNADDRESSED)
		return packet->family != FAMILY_OTHER &&
		       !(packet->family == FAMILY_IPV4
				 ? TRACE_EXCLUDES4(packet->endpoint[SIDE_SOURCE].address.word) ||
					   TRACE_EXCLUDES4(packet->endpoint[SIDE_DESTINATION].address.word)
				 : TRACE_EXCLUDES6(packet->endpoint[SIDE_SOURCE].address.word) ||
					   TRACE_EXCLUDES6(packet->endpoint[SIDE_DESTINATION].address.word));
	return packet->content != CONTENT_OTHER && (EVENTS != EVENTS_DROPPED || reason >= FIRST_DROP);
}

static __always_inline bool within_budget(struct event_budget *mine)
{
	u32 now = ticks();

	if (now - mine->window >= TICKS_PER_SECOND) {
		mine->window = now;
		mine->used = 0;
	}
	if (mine->used >= EVENTS_PER_SECOND) {
		mine->suppressed++;
		return false;
	}
	mine->used++;
	return true;
}

static __always_inline void copy_address(u8 *to, const struct packet *packet, enum side side)
{
	struct in6_address address = {};

	if (packet->family != FAMILY_OTHER)
		address.word[0] = packet->endpoint[side].address.word[0];
	if (packet->family == FAMILY_IPV6)
		address = packet->endpoint[side].address;
	*(struct in6_address *)to = address;
}

static __always_inline void send(enum reason reason, const struct packet *packet, u32 processing, u32 interface,
				 struct event_budget *mine)
{
	struct event event = {
		.time = monotonic_clock(),
		.interface = interface,
		.bytes = packet->bytes,
		.processing = processing,
		.vlan = packet->vlan,
		.family = packet->family,
		.protocol = packet->protocol,
		.has_type = packet->content == CONTENT_ICMP,
		.type = packet->type,
		.code = packet->code,
		.reason = reason,
		.monitored = MONITOR && reason >= FIRST_DROP,
	};

	copy_address(event.source, packet, SIDE_SOURCE);
	copy_address(event.destination, packet, SIDE_DESTINATION);
	if (events.ringbuf_output(&event, sizeof(event), RINGBUF_NO_WAKEUP))
		mine->lost++;
	else
		mine->sent++;
}

static __always_inline void report(enum reason reason, const struct packet *packet, u32 processing, u32 interface)
{
	struct event_budget *mine;
	struct control *state;
	u32 zero = 0;

	if (!is_reported(reason, packet))
		return;
	state = control.lookup(&zero);
	if (!state || !state->listening)
		return;
	mine = event_budget.lookup(&zero);
	if (mine && within_budget(mine))
		send(reason, packet, processing, interface, mine);
}

#else

static __always_inline void report(enum reason reason, const struct packet *packet, u32 processing, u32 interface)
{
}

#endif
#endif
