/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The maps. User space creates and pins all of them before it compiles the program. BCC only opens them, so the sizes
 * given here are not read. BCC rewrites a map method only where the map is called by its name, so each kind of access
 * has one function.
 */
#ifndef PINGKILLER_MAPS_H
#define PINGKILLER_MAPS_H

BPF_TABLE_PINNED("percpu_array", u32, struct counters, counters, 1, FILTER_PINS "/counters");
BPF_TABLE_PINNED("array", u32, struct control, control, 1, HOST_PINS "/control");

BPF_TABLE_PINNED("array", u32, struct record, block_records, 1, LIST_PINS "/blocklist/records");
BPF_TABLE_PINNED("hash", u32, u32, block_exact4, 1, LIST_PINS "/blocklist/exact4");
BPF_TABLE_PINNED("hash", struct in6_address, u32, block_exact6, 1, LIST_PINS "/blocklist/exact6");
BPF_TABLE_PINNED("lpm_trie", struct network4, u32, block_network4, 1, LIST_PINS "/blocklist/network4");
BPF_TABLE_PINNED("lpm_trie", struct network6, u32, block_network6, 1, LIST_PINS "/blocklist/network6");

BPF_TABLE_PINNED("array", u32, struct record, allow_records, 1, LIST_PINS "/allowlist/records");
BPF_TABLE_PINNED("hash", u32, u32, allow_exact4, 1, LIST_PINS "/allowlist/exact4");
BPF_TABLE_PINNED("hash", struct in6_address, u32, allow_exact6, 1, LIST_PINS "/allowlist/exact6");
BPF_TABLE_PINNED("lpm_trie", struct network4, u32, allow_network4, 1, LIST_PINS "/allowlist/network4");
BPF_TABLE_PINNED("lpm_trie", struct network6, u32, allow_network6, 1, LIST_PINS "/allowlist/network6");

/* `list` and `kind` are constants in every call, so the compiler keeps only one of these lookups per call. */
static __always_inline u32 *lookup_slot(enum list list, enum kind kind, void *key)
{
	if (list == LIST_BLOCK) {
		switch (kind) {
		case KIND_EXACT4:
			return block_exact4.lookup(key);
		case KIND_EXACT6:
			return block_exact6.lookup(key);
		case KIND_NETWORK4:
			return block_network4.lookup(key);
		default:
			return block_network6.lookup(key);
		}
	}
	switch (kind) {
	case KIND_EXACT4:
		return allow_exact4.lookup(key);
	case KIND_EXACT6:
		return allow_exact6.lookup(key);
	case KIND_NETWORK4:
		return allow_network4.lookup(key);
	default:
		return allow_network6.lookup(key);
	}
}

static __always_inline struct record *lookup_record(enum list list, u32 *slot)
{
	return list == LIST_BLOCK ? block_records.lookup(slot) : allow_records.lookup(slot);
}

#endif
