/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Is an address of this packet on a list? The source is looked at before the destination, the exact address before the
 * networks, a longer network before a shorter one; the entry that decides is credited with the packet.
 */
#ifndef PINGKILLER_LISTS_H
#define PINGKILLER_LISTS_H

/* How many networks may lie inside one another. User space keeps an IPv6 list to this many prefix lengths; IPv4 has 31. */
#define MAX_NESTED_NETWORKS 32

static __always_inline bool matches(const struct record *record, enum side side)
{
	u64 until = record->until[side];

	return until == FOREVER || (until && boot_clock() < until);
}

static __always_inline struct record *find_exact(enum list list, enum kind kind, enum side side, void *key)
{
	struct record *record;
	u32 *slot;

	slot = lookup_slot(list, kind, key);
	if (!slot)
		return NULL;
	record = lookup_record(list, slot);
	if (!record || !matches(record, side))
		return NULL;
	return record;
}

/* The longest network that matches on this side. One that has expired, or holds for the other side only, must not hide
 * a shorter one around it, so the search goes on above it. `key` starts with its prefix length in bits.
 */
static __always_inline struct record *find_network(enum list list, enum kind kind, enum side side, u32 *key)
{
	struct record *record;
	u32 *slot;
	int i;

	for (i = 0; i < MAX_NESTED_NETWORKS; i++) {
		slot = lookup_slot(list, kind, key);
		if (!slot)
			break;
		record = lookup_record(list, slot);
		if (!record)
			break;
		if (matches(record, side))
			return record;
		if (!record->prefix_length)
			break;
		*key = record->prefix_length - 1;
	}
	return NULL;
}

static __always_inline struct record *find_address(const struct control *control, enum list list, enum side side,
						   enum kind exact, enum kind network, struct endpoint *endpoint)
{
	struct record *record = NULL;

	if (control->lists[list][exact].matching[side])
		record = find_exact(list, exact, side, &endpoint->address);
	if (record || !control->lists[list][network].matching[side])
		return record;
	endpoint->prefix_length = network == NETWORK4 ? 32 : 128;
	return find_network(list, network, side, &endpoint->prefix_length);
}

static __always_inline struct record *find(const struct control *control, enum list list, enum side side,
					   struct packet *packet)
{
	if (packet->family == IPV4)
		return find_address(control, list, side, EXACT4, NETWORK4, &packet->endpoint[side]);
	return find_address(control, list, side, EXACT6, NETWORK6, &packet->endpoint[side]);
}

static __always_inline void credit(struct record *record, u32 bytes)
{
	u32 now = tick();

	/* Other CPUs may count on the same entry. */
	__sync_fetch_and_add(&record->packets, 1);
	__sync_fetch_and_add(&record->bytes, bytes);
	/* In a flood the clock is read once a tick. */
	if (record->tick != now) {
		record->tick = now;
		record->last_seen = monotonic_clock();
	}
}

static __always_inline bool on_list(const struct control *control, enum list list, struct packet *packet)
{
	struct record *record = find(control, list, SOURCE, packet);

	if (!record)
		record = find(control, list, DESTINATION, packet);
	if (!record)
		return false;
	credit(record, packet->bytes);
	return true;
}

#endif
