/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copyright (c) 2026 the PingKiller authors
 *
 * The memory layouts that the kernel side and the host-side library share. The Python twin of this file is
 * plugins/module_utils/_pingkiller/kernel/schema.py. A change here needs a new SCHEMA_VERSION there.
 */
#ifndef PINGKILLER_SCHEMA_H
#define PINGKILLER_SCHEMA_H

/* Every reason below FIRST_DROP passes the frame. The others drop it. In monitor mode the drop reasons pass it, too,
 * and are counted from FIRST_WOULD_DROP on, in the same order. There is a spare number for one more reason that passes,
 * so adding one does not change the layout.
 */
enum reason {
	REASON_NOT_ICMP,
	REASON_MALFORMED,
	REASON_PROTECTED,
	REASON_ALLOWLIST,
	REASON_TYPE,
	REASON_POLICY_PASS,
	REASON_UNCLASSIFIED,
	FIRST_DROP = 8,
	REASON_BLOCKLIST = FIRST_DROP,
	REASON_RATELIMIT,
	REASON_POLICY_DROP,
	REASON_TOO_MANY_TAGS,
	FIRST_WOULD_DROP = 12,
	REASONS = 16,
};

enum family { FAMILY_OTHER, FAMILY_IPV4, FAMILY_IPV6, FAMILIES };

enum side { SIDE_SOURCE, SIDE_DESTINATION, SIDES };

enum list { LIST_BLOCK, LIST_ALLOW, LISTS };

/* The four indexes of a list: exact addresses in hash maps, networks in LPM tries. */
enum kind { KIND_EXACT4, KIND_EXACT6, KIND_NETWORK4, KIND_NETWORK6, KINDS };

struct counter {
	u64 packets;
	u64 bytes;
};

/* One per CPU and filter. */
struct counters {
	struct counter cell[REASONS][FAMILIES];
};

/* An entry of a list, at the slot that the indexes of the list return. It is one cache line. The packet path reads and
 * writes the first five fields, and user space reads and writes the rest. User space maps the table into its memory and
 * edits `until` in place, so changing an entry loses no count.
 */
struct record {
	u64 packets;
	u64 bytes;
	u64 last_seen;    /* CLOCK_MONOTONIC ns at the last timer tick, 0: never */
	u64 until[SIDES]; /* CLOCK_BOOTTIME ns; 0: does not match on this side, FOREVER: no expiry */
	u8 address[16];   /* network byte order, IPv4 in the first four bytes */
	u8 used;          /* 1 + enum kind, 0: free slot */
	u8 prefix_length;
	u8 owner;
	u8 reserved;
	u32 since; /* CLOCK_BOOTTIME s when the entry was put on the list, 0: not known */
};

#define FOREVER (~0ULL)

/* The keys of the tries. The keys of the hash maps are the exact addresses themselves. */
struct network4 {
	u32 prefix_length; /* in bits, host byte order */
	u8 address[4];
};

struct network6 {
	u32 prefix_length;
	u8 address[16];
};

/* The number of entries of a kind, and how many of them match on each side. The filter does not look up an empty index.
 */
struct population {
	u32 entries;
	u32 matching[SIDES];
	u32 timed; /* entries that expire; only user space uses it */
};

struct control {
	u32 schema_version;
	u32 dirty;     /* user space is changing a list, or was interrupted during a change */
	u32 listening; /* a listener reads the events */
	u32 reserved;
	u64 generation; /* of the lists, increased at the end of every change */
	struct population lists[LISTS][KINDS];
};

/* The processing time of passed and of dropped frames. One per CPU and filter. */
#define TIMING_BUCKETS 32

struct verdict_timing {
	u64 count;
	u64 sum;                    /* ns */
	u64 bucket[TIMING_BUCKETS]; /* bucket b: 2^b to 2^(b+1) - 1 ns; the first begins at 0, the last has no end */
};

struct timing {
	u64 unsampled; /* frames since the last sample */
	struct verdict_timing passed;
	struct verdict_timing dropped;
};

/* A source in the rate limit's LRU hash. An IPv4 address is in the first word. An IPv6 address is cut to its prefix. */
struct source_key {
	u32 family;
	u32 address[4];
};

struct source {
	u64 window;        /* CLOCK_BOOTTIME ns when the current one-second window began */
	u64 blocked_until; /* CLOCK_BOOTTIME ns; 0: not blocked */
	u64 packets;       /* in this window */
};

/* The report of one packet to user space. */
struct event {
	u64 time; /* CLOCK_MONOTONIC ns */
	u32 interface;
	u32 bytes;
	u32 processing; /* ns, 0: not sampled */
	u16 vlan;       /* id in the outer tag, NO_VLAN: none */
	u8 family;
	u8 protocol;
	u8 type;
	u8 code;
	u8 has_type; /* type and code are valid: not a later fragment, not malformed, not unclassified */
	u8 reason;
	u8 monitored; /* 1: monitor mode passed the packet although the reason drops */
	u8 reserved[3];
	u8 source[16]; /* network byte order, IPv4 in the first four bytes */
	u8 destination[16];
};

#define NO_VLAN 0xffff

/* The event budget of this CPU for the current second, and the counts of sent, suppressed and lost events. */
struct event_budget {
	u64 sent;
	u64 suppressed;
	u64 lost;
	u32 window; /* tick when the second began */
	u32 used;
};

#endif
