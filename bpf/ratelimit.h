/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * A source that sends more than RATELIMIT_PPS packets of the filtered types within one second is blocked for
 * RATELIMIT_BLOCK_NS. The first packet of a source starts a window of one second, and the first packet after that
 * starts the next one. So a burst that crosses from one window into the next may have more packets. Windows begin and
 * end with a timer tick. The sources are in an LRU hash. So an attacker with many addresses uses only memory that was
 * allocated for this purpose.
 */
#ifndef PINGKILLER_RATELIMIT_H
#define PINGKILLER_RATELIMIT_H

#if RATELIMIT_PPS

#define NS_PER_SECOND 1000000000ULL

BPF_TABLE_PINNED("lru_hash", struct source_key, struct source, sources, 1, FILTER_PINS "/sources");

/* Masks the bits of a 32-bit word of an IPv6 address that belong to the prefix, in the byte order of the address. */
#define PREFIX_MASK(length, word) \
	((length) >= 32 * (word) + 32 ? ~0U : (length) <= 32 * (word) ? 0 : NET32(~0U << (32 * (word) + 32 - (length))))

static __always_inline void source_key(const struct packet *packet, struct source_key *key)
{
	const u32 *word = packet->endpoint[SIDE_SOURCE].address.word;

	key->family = packet->family;
	key->address[0] = word[0];
	if (packet->family == FAMILY_IPV4) {
		key->address[1] = key->address[2] = key->address[3] = 0;
		return;
	}
	key->address[0] &= PREFIX_MASK(RATELIMIT_IPV6_PREFIX, 0);
	key->address[1] = word[1] & PREFIX_MASK(RATELIMIT_IPV6_PREFIX, 1);
	key->address[2] = word[2] & PREFIX_MASK(RATELIMIT_IPV6_PREFIX, 2);
	key->address[3] = word[3] & PREFIX_MASK(RATELIMIT_IPV6_PREFIX, 3);
}

static __always_inline bool over_limit(const struct packet *packet)
{
	const struct coarse_clocks *clocks = coarse();
	struct source first = {};
	struct source *source;
	struct source_key key;
	u64 now;

	if (!clocks)
		return false;
	now = clocks->boot;
	source_key(packet, &key);
	source = sources.lookup(&key);
	if (!source) {
		first.window = now;
		first.packets = 1;
		if (!sources.insert(&key, &first))
			return false;
		source = sources.lookup(&key); /* another CPU was first: add to its count */
		if (!source)
			return false;
	}
	if (source->blocked_until > now)
		return true;
	/* Signed, because another CPU may have begun a window after this CPU read the clock. */
	if ((s64)(now - source->window) >= (s64)NS_PER_SECOND) {
		/* In this order, no other CPU sees the old count in the new window and blocks the source for it. */
		*(volatile u64 *)&source->packets = 1;
		*(volatile u64 *)&source->window = now;
		return false;
	}
	/* Other CPUs may count packets of the same source at the same time. CPUs that go over the limit at the same
	 * time each see the count of all of them. So for each other CPU, up to one packet less passes, and never one
	 * more.
	 */
	__sync_fetch_and_add(&source->packets, 1);
	if (source->packets <= RATELIMIT_PPS)
		return false;
	source->blocked_until = now + RATELIMIT_BLOCK_NS;
	return true;
}

#else

static __always_inline bool over_limit(const struct packet *packet)
{
	return false;
}

#endif
#endif
