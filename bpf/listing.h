/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * Looks up an address in the indexes of both lists. The lookups cost more than all the rest of the filter. So each CPU
 * caches the results for the addresses that it saw last, until a list changes.
 */
#ifndef PINGKILLER_LISTING_H
#define PINGKILLER_LISTING_H

enum form { FORM_EXACT, FORM_NETWORK, FORMS };

/* For each list: 1 + the slot of the entry for exactly this address, and 1 + the slot of the longest network around it.
 * 0 if there is no such entry. The records of the entries say whether the entries match now, and on which side.
 */
struct listing {
	u32 slot[LISTS][FORMS];
};

#define LOOKASIDE_LINES_LOG2 10

struct lookaside_line {
	u64 tag; /* generation of the lists and family, 0: the line is empty */
	struct in6_address address;
	struct listing listing;
};

/* Every hook runs with softirqs disabled, so nothing else writes this CPU's lines at the same time. */
BPF_PERCPU_ARRAY(lookaside, struct lookaside_line, 1 << LOOKASIDE_LINES_LOG2);

#define barrier() asm volatile("" ::: "memory")

static __always_inline u32 lookaside_number(const struct in6_address *address, enum family family)
{
	u32 mixed = address->word[0];

	if (family == FAMILY_IPV6)
		mixed ^= address->word[1] * 3 ^ address->word[2] * 5 ^ address->word[3] * 7;
	return mixed * 0x9e3779b1 >> (32 - LOOKASIDE_LINES_LOG2); /* multiplicative hashing: Knuth, volume 3, 6.4 */
}

static __always_inline bool same_address(const struct in6_address *a, const struct in6_address *b, enum family family)
{
	if (a->word[0] != b->word[0])
		return false;
	return family == FAMILY_IPV4 ||
	       (a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3]);
}

static __always_inline u32 ask_index(const struct control *control, enum list list, enum kind kind, void *key)
{
	u32 *slot;

	if (!control->lists[list][kind].entries)
		return 0;
	slot = lookup_slot(list, kind, key);
	return slot ? *slot + 1 : 0;
}

static __always_inline void ask_indexes(const struct control *control, enum kind exact, enum kind network,
					struct endpoint *endpoint, struct listing *listing)
{
	endpoint->prefix_length = network == KIND_NETWORK4 ? 32 : 128;
	listing->slot[LIST_ALLOW][FORM_EXACT] = ask_index(control, LIST_ALLOW, exact, &endpoint->address);
	listing->slot[LIST_ALLOW][FORM_NETWORK] = ask_index(control, LIST_ALLOW, network, &endpoint->prefix_length);
	listing->slot[LIST_BLOCK][FORM_EXACT] = ask_index(control, LIST_BLOCK, exact, &endpoint->address);
	listing->slot[LIST_BLOCK][FORM_NETWORK] = ask_index(control, LIST_BLOCK, network, &endpoint->prefix_length);
}

/* Whether no entry of these kinds matches on this side. On most hosts this is true for destinations. */
static __always_inline bool nothing_matches(const struct control *control, enum side side, enum kind exact,
					    enum kind network)
{
	return !(control->lists[LIST_ALLOW][exact].matching[side] | control->lists[LIST_ALLOW][network].matching[side] |
		 control->lists[LIST_BLOCK][exact].matching[side] | control->lists[LIST_BLOCK][network].matching[side]);
}

static __always_inline void find_listing_of(const struct control *control, enum side side, enum kind exact,
					    enum kind network, struct endpoint *endpoint, struct listing *listing)
{
	enum family family = exact == KIND_EXACT4 ? FAMILY_IPV4 : FAMILY_IPV6;
	/* Read before the lookups, so a result that is found while a list changes gets the tag from before the change.
	 */
	u64 tag = control->generation * FAMILIES + family;
	struct lookaside_line *line;
	u32 number;

	if (nothing_matches(control, side, exact, network)) {
		*listing = (struct listing){};
		return;
	}
	number = lookaside_number(&endpoint->address, family);
	line = lookaside.lookup(&number);
	if (!line) {
		*listing = (struct listing){};
		return;
	}
	if (control->dirty || line->tag != tag || !same_address(&line->address, &endpoint->address, family)) {
		ask_indexes(control, exact, network, endpoint, &line->listing);
		line->address.word[0] = endpoint->address.word[0];
		if (family == FAMILY_IPV6)
			line->address = endpoint->address;
		line->tag = control->dirty ? 0 : tag;
	}
	/* Always read the listing from the map. For the verifier, a value from a map is one unknown number. Each index
	 * returns nothing or a slot, so the direct results would be sixteen cases on each side. Verifiers before Linux
	 * 6.8 follow these cases one by one.
	 */
	barrier();
	*listing = line->listing;
}

static __always_inline void find_listing(const struct control *control, enum side side, struct packet *packet,
					 struct listing *listing)
{
	if (packet->family == FAMILY_IPV4)
		find_listing_of(control, side, KIND_EXACT4, KIND_NETWORK4, &packet->endpoint[side], listing);
	else
		find_listing_of(control, side, KIND_EXACT6, KIND_NETWORK6, &packet->endpoint[side], listing);
}

#endif
