# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel side and user space both lay out in memory: the twin of ``bpf/schema.h``.

All numbers are in host byte order, all addresses in network byte order.
"""

from __future__ import annotations

import struct

from . import bpf

#: Goes up whenever a map's declaration or the meaning of its bytes changes.
SCHEMA_VERSION = 1

REASONS = (
    "not_icmp",
    "malformed",
    "protected",
    "allowlist",
    "type",
    "policy_pass",
    "blocklist",
    "ratelimit",
    "policy_drop",
)
DROP_REASONS = REASONS[REASONS.index("blocklist") :]
FAMILIES = ("other", "ipv4", "ipv6")

SOURCE, DESTINATION = 0, 1
BLOCKLIST, ALLOWLIST = "blocklist", "allowlist"
LISTS = (BLOCKLIST, ALLOWLIST)
#: Directions by the sides they match on, and back.
DIRECTIONS = {"src": (SOURCE,), "dst": (DESTINATION,), "both": (SOURCE, DESTINATION)}

#: The indexes of a list, in the order of ``enum kind``, with the size of their keys. A key is the address, behind the
#: prefix length in 32 bits where it is a network, so a key's length tells its kind.
KINDS = ("exact4", "exact6", "network4", "network6")
KEY_SIZES = {"exact4": 4, "exact6": 16, "network4": 8, "network6": 20}
KIND_OF_SIZE = {size: kind for kind, size in KEY_SIZES.items()}

#: ``MAX_NESTED_NETWORKS`` in bpf/lists.h.
MAX_PREFIX_LENGTHS = 32

FOREVER = (1 << 64) - 1  #: an ``until`` that never comes

COUNTER = struct.Struct("=QQ")  #: packets, bytes
COUNTERS_SIZE = COUNTER.size * len(REASONS) * len(FAMILIES)

#: packets, bytes, last_seen, until source, until destination, address, used, prefix length, owner; then what is reserved
RECORD = struct.Struct("=QQQQQ16sBBB5x")
RECORD_COUNTS = (0, 8)  #: offsets of what the packet path adds to
RECORD_ADDRESS = 40  #: offset
RECORD_USED = 56  #: offset of ``used``: 0 for a free slot, else 1 + the kind's number
RECORD_PREFIX_LENGTH = 57
RECORD_OWNER = 58
SLOT = struct.Struct("=I")

#: schema version, dirty, listening, generation; then for each list and kind: entries, matching source, matching destination, timed
CONTROL_HEAD = struct.Struct("=III4xQ")
POPULATION = struct.Struct("=IIII")
CONTROL_SIZE = CONTROL_HEAD.size + POPULATION.size * len(LISTS) * len(KINDS)

#: list, kind, prefix length, owner, address
CLAIM_KEY = struct.Struct("=BBBB16s")
CLAIM = struct.Struct("=QBxxxxxxx")  #: until, sides as a bit set (1 << SOURCE, 1 << DESTINATION)

TIMING_BUCKETS = 32
#: count, sum in ns, buckets: of one verdict
TIMING = struct.Struct(f"=QQ{TIMING_BUCKETS}Q")
TIMING_HEAD = struct.Struct("=Q")
VERDICTS = ("passed", "dropped")

SOURCE_KEY = struct.Struct("=I16s")  #: family, address
SOURCE_STATE = struct.Struct("=QQQ")  #: window, blocked until (CLOCK_BOOTTIME ns), packets

#: time (CLOCK_MONOTONIC ns), interface, bytes, processing, vlan, family, protocol, type, code, has type, reason, monitored,
#: source, destination
EVENT = struct.Struct("=QIIIHBBBBBBB3x16s16s")
NO_VLAN = 0xFFFF
EVENT_BUDGET = struct.Struct("=QQQII")  #: sent, suppressed, lost, window, used
EVENT_BUFFER_SIZE = 1 << 20  #: bytes; a power of two and of whole pages

OWNER_SIZE = 64  #: longest name of an owner, with its final NUL
MAX_OWNERS = 256  #: number 0 means "several, see claims"
MAX_CLAIMS = 65536
META_SIZE = 16384

ZERO = struct.pack("=I", 0)  #: the key of every map with one element


def list_maps(capacity: int) -> dict[str, bpf.MapInfo]:
    """The maps of one list by the name of their pin. Raises nothing; ``capacity`` is in entries."""
    slot = SLOT.size
    return {
        "records": bpf.MapInfo(bpf.ARRAY, 4, RECORD.size, capacity, bpf.MMAPABLE),
        "exact4": bpf.MapInfo(bpf.HASH, KEY_SIZES["exact4"], slot, capacity, 0),
        "exact6": bpf.MapInfo(bpf.HASH, KEY_SIZES["exact6"], slot, capacity, 0),
        "network4": bpf.MapInfo(bpf.LPM_TRIE, KEY_SIZES["network4"], slot, capacity, bpf.NO_PREALLOC),
        "network6": bpf.MapInfo(bpf.LPM_TRIE, KEY_SIZES["network6"], slot, capacity, bpf.NO_PREALLOC),
    }


#: The maps of the host that belong to no list.
HOST_MAPS = {
    "control": bpf.MapInfo(bpf.ARRAY, 4, CONTROL_SIZE, 1, bpf.MMAPABLE),
    "owners": bpf.MapInfo(bpf.ARRAY, 4, OWNER_SIZE, MAX_OWNERS, bpf.MMAPABLE),
    "claims": bpf.MapInfo(bpf.HASH, CLAIM_KEY.size, CLAIM.size, MAX_CLAIMS, bpf.NO_PREALLOC),
}

#: The ring buffer, made with the first filter that reports events.
EVENTS_MAP = bpf.MapInfo(bpf.RINGBUF, 0, 0, EVENT_BUFFER_SIZE, 0)

#: The maps of every filter.
FILTER_MAPS = {
    "counters": bpf.MapInfo(bpf.PERCPU_ARRAY, 4, COUNTERS_SIZE, 1, 0),
    "meta": bpf.MapInfo(bpf.ARRAY, 4, META_SIZE, 1, 0),
}
TIMING_MAP = bpf.MapInfo(bpf.PERCPU_ARRAY, 4, TIMING_HEAD.size + TIMING.size * len(VERDICTS), 1, 0)
EVENT_BUDGET_MAP = bpf.MapInfo(bpf.PERCPU_ARRAY, 4, EVENT_BUDGET.size, 1, 0)


def sources_map(size: int) -> bpf.MapInfo:
    """The sources that the rate limit keeps count of."""
    return bpf.MapInfo(bpf.LRU_HASH, SOURCE_KEY.size, SOURCE_STATE.size, size, 0)


#: Every name that a filter's pin can have.
FILTER_PINS = (*FILTER_MAPS, "timing", "event_budget", "sources")
HOST_PINS = (*HOST_MAPS, "events")
