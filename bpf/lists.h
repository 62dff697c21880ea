/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Finds out whether an address of the packet is on a list. The source is looked up before the destination, the exact
 * address before networks, and a longer network before a shorter one. The packet is counted on the entry that decides.
 */
#ifndef PINGKILLER_LISTS_H
#define PINGKILLER_LISTS_H

/* The number of networks that may contain one another. User space limits an IPv6 list to this many prefix lengths. IPv4
 * has only 31.
 */
#define MAX_NESTED_NETWORKS 32

static __always_inline bool matches(const struct record *record, enum side side)
{
	u64 until = record->until[side];
	const struct coarse_clocks *now;

	if (until == FOREVER || !until)
		return until;
	now = coarse();
	return now && now->boot < until;
}

/* Returns the longest network that matches on this side. `slot` is the longest network around the address. A network
 * that has expired, or that matches only on the other side, must not hide a shorter network around it. So the search
 * goes on with the shorter networks.
 */
static __always_inline struct record *find_network(enum list list, enum side side, enum kind kind, u32 slot,
						   struct endpoint *endpoint)
{
	struct record *record;
	u32 *above;
	int i;

	for (i = 0; i < MAX_NESTED_NETWORKS; i++) {
		record = lookup_record(list, &slot);
		if (!record || matches(record, side))
			return record;
		if (!record->prefix_length)
			break;
		endpoint->prefix_length = record->prefix_length - 1;
		above = lookup_slot(list, kind, &endpoint->prefix_length);
		if (!above)
			break;
		slot = *above;
	}
	return NULL;
}

static __always_inline struct record *find(enum list list, enum side side, struct packet *packet,
					   const struct listing *listing)
{
	u32 exact = listing->slot[list][FORM_EXACT], network = listing->slot[list][FORM_NETWORK];
	struct record *record;

	if (exact) {
		exact--;
		record = lookup_record(list, &exact);
		if (record && matches(record, side))
			return record;
	}
	if (!network)
		return NULL;
	if (packet->family == FAMILY_IPV4)
		return find_network(list, side, KIND_NETWORK4, network - 1, &packet->endpoint[side]);
	return find_network(list, side, KIND_NETWORK6, network - 1, &packet->endpoint[side]);
}

static __always_inline void credit(struct record *record, u32 bytes)
{
	const struct coarse_clocks *now = coarse();

	/* Other CPUs may count on the same entry at the same time. */
	__sync_fetch_and_add(&record->packets, 1);
	__sync_fetch_and_add(&record->bytes, bytes);
	if (now)
		record->last_seen = now->monotonic;
}

/* `listing` has one element per side, SIDES in all. */
static __always_inline bool on_list(enum list list, struct packet *packet, const struct listing *listing)
{
	struct record *record = find(list, SIDE_SOURCE, packet, &listing[SIDE_SOURCE]);

	if (!record)
		record = find(list, SIDE_DESTINATION, packet, &listing[SIDE_DESTINATION]);
	if (!record)
		return false;
	credit(record, packet->bytes);
	return true;
}

#endif
