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

/* Looking an address up costs more than everything else, so each CPU remembers what it has found, until a list changes.
 * Every hook runs with softirqs disabled: nothing else writes this CPU's lines meanwhile.
 */
#define REMEMBERED_LOG2 10

struct remembered {
	u64 tag; /* generation of the lists and family, 0: nothing is remembered here */
	struct in6_address address;
	struct listing listing;
};

BPF_PERCPU_ARRAY(memory, struct remembered, 1 << REMEMBERED_LOG2);

static __always_inline u32 look_up(const struct control *control, enum list list, enum kind kind, void *key)
{
	u32 *slot;

	if (!control->lists[list][kind].entries)
		return 0;
	slot = lookup_slot(list, kind, key);
	return slot ? *slot + 1 : 0;
}

static __always_inline bool any_matching(const struct control *control, enum side side, enum kind exact, enum kind network)
{
	return control->lists[LIST_BLOCK][exact].matching[side] | control->lists[LIST_BLOCK][network].matching[side] |
	       control->lists[LIST_ALLOW][exact].matching[side] | control->lists[LIST_ALLOW][network].matching[side];
}

static __always_inline u32 remembered_at(const struct in6_address *address, enum family family)
{
	u32 mixed = address->word[0];

	if (family == IPV6)
		mixed ^= address->word[1] * 3 ^ address->word[2] * 5 ^ address->word[3] * 7;
	return mixed * 0x9e3779b1 >> (32 - REMEMBERED_LOG2); /* Knuth's multiplicative hash */
}

static __always_inline bool same_address(const struct in6_address *a, const struct in6_address *b, enum family family)
{
	if (a->word[0] != b->word[0])
		return false;
	return family == IPV4 || (a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3]);
}

static __always_inline void ask_indexes(const struct control *control, enum kind exact, enum kind network,
					struct endpoint *endpoint, struct listing *listing)
{
	endpoint->prefix_length = network == NETWORK4 ? 32 : 128;
	listing->slot[LIST_ALLOW][EXACT] = look_up(control, LIST_ALLOW, exact, &endpoint->address);
	listing->slot[LIST_ALLOW][NETWORK] = look_up(control, LIST_ALLOW, network, &endpoint->prefix_length);
	listing->slot[LIST_BLOCK][EXACT] = look_up(control, LIST_BLOCK, exact, &endpoint->address);
	listing->slot[LIST_BLOCK][NETWORK] = look_up(control, LIST_BLOCK, network, &endpoint->prefix_length);
}

/* Whether no entry at all matches on this side, which is true of destinations on most hosts. */
static __always_inline bool nothing_matches(const struct control *control, enum side side, enum kind exact,
					    enum kind network)
{
	return !(control->lists[LIST_ALLOW][exact].matching[side] | control->lists[LIST_ALLOW][network].matching[side] |
		 control->lists[LIST_BLOCK][exact].matching[side] | control->lists[LIST_BLOCK][network].matching[side]);
}

static __always_inline void find_listing(const struct control *control, enum side side, enum kind exact, enum kind network,
					 struct endpoint *endpoint, struct listing *listing)
{
	enum family family = exact == EXACT4 ? IPV4 : IPV6;
	u64 tag = control->generation * FAMILIES + family;
	struct remembered *line;
	u32 number;

	if (nothing_matches(control, side, exact, network)) {
		*listing = (struct listing){};
		return;
	}
	number = remembered_at(&endpoint->address, family);
	line = memory.lookup(&number);
	if (line && line->tag == tag && !control->dirty && same_address(&line->address, &endpoint->address, family)) {
		*listing = line->listing;
		return;
	}
	ask_indexes(control, exact, network, endpoint, listing);
	if (!line || control->dirty)
		return;
	line->tag = tag;
	line->address.word[0] = endpoint->address.word[0];
	if (family == IPV6)
		line->address = endpoint->address;
	line->listing = *listing;
}

static __always_inline void find_listings(const struct control *control, struct packet *packet)
{
	enum side side;

#pragma unroll
	for (side = SOURCE; side < SIDES; side++) {
		if (packet->family == IPV4)
			find_listing(control, side, EXACT4, NETWORK4, &packet->endpoint[side], &packet->listing[side]);
		else
			find_listing(control, side, EXACT6, NETWORK6, &packet->endpoint[side], &packet->listing[side]);
	}
}

/* The longest network that matches on this side, from the longest of all on. One that has expired, or holds for the other
 * side only, must not hide a shorter one around it, so the search goes on above it.
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

static __always_inline struct record *find(enum list list, enum side side, struct packet *packet)
{
	u32 exact = packet->listing[side].slot[list][EXACT], network = packet->listing[side].slot[list][NETWORK];
	struct record *record;

	if (exact) {
		exact--;
		record = lookup_record(list, &exact);
		if (record && matches(record, side))
			return record;
	}
	if (!network)
		return NULL;
	if (packet->family == IPV4)
		return find_network(list, side, NETWORK4, network - 1, &packet->endpoint[side]);
	return find_network(list, side, NETWORK6, network - 1, &packet->endpoint[side]);
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

static __always_inline bool on_list(enum list list, struct packet *packet)
{
	struct record *record = find(list, SOURCE, packet);

	if (!record)
		record = find(list, DESTINATION, packet);
	if (!record)
		return false;
	credit(record, packet->bytes);
	return true;
}

#endif
