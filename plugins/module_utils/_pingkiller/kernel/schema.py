# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps that the filter and user space share, and the layouts of their values: the twin of ``bpf/schema.h``.

Numbers are in host byte order, addresses in network byte order.
"""

from __future__ import annotations

import struct

from . import bpf
from .layout import Layout

#: Goes up whenever a map's declaration or the meaning of its bytes changes. The layouts before go into ``EARLIER``.
SCHEMA_VERSION = 3
FUNCTION = "pingkiller"  #: the filter's name in C, by which its programs are known

PASS_REASONS = ("not_icmp", "malformed", "protected", "allowlist", "type", "policy_pass", "unclassified")
DROP_REASONS = ("blocklist", "ratelimit", "policy_drop", "too_many_tags")
REASONS = PASS_REASONS + DROP_REASONS
#: Numbers of reasons. Those between the names are spare, so that another reason changes no layout.
FIRST_DROP, FIRST_WOULD_DROP, REASON_NUMBERS = 8, 12, 16
REASONS_BY_NUMBER = {**dict(enumerate(PASS_REASONS)), **dict(enumerate(DROP_REASONS, FIRST_DROP))}
#: The reasons that monitor mode counts in place of those that drop, by number.
WOULD_DROP = {number: f"would_drop.{reason}" for number, reason in enumerate(DROP_REASONS, FIRST_WOULD_DROP)}
FAMILIES = ("other", "ipv4", "ipv6")

#: Padding in place of the counters of a spare number.
_SPARE = f":{len(FAMILIES) * 16}x"


def counters(names: dict[int, str], numbers: int) -> Layout:
    """Lay out ``REASON.FAMILY.packets`` and ``REASON.FAMILY.bytes`` for every family and every reason, given by number."""
    fields: list[str] = []
    for number in range(numbers):
        cells = [f"{names.get(number)}.{family}.{what}:Q" for family in FAMILIES for what in ("packets", "bytes")]
        fields += cells if number in names else [_SPARE]
    return Layout(*fields)


SOURCE, DESTINATION = 0, 1
BLOCKLIST, ALLOWLIST = "blocklist", "allowlist"
LISTS = (BLOCKLIST, ALLOWLIST)

#: The places where a filter can be attached.
HOOKS = XDP, TC_INGRESS, TC_EGRESS = ("xdp", "tc_ingress", "tc_egress")
#: Maps of lists and of filters have in the kernel the name of their pin with one of these before it.
LIST_PREFIX = {BLOCKLIST: "block_", ALLOWLIST: "allow_"}
FILTER_PREFIX = "filter_"
#: The sides of a packet that an entry of each direction matches on.
DIRECTIONS = {"src": (SOURCE,), "dst": (DESTINATION,), "both": (SOURCE, DESTINATION)}

#: The indexes of a list, in the order of ``enum kind``, with the size of their keys in bytes. A key is an address; that of a
#: network has the prefix length in 32 bits before it. So the length of a key tells its kind.
KINDS = ("exact4", "exact6", "network4", "network6")
KEY_SIZES = {"exact4": 4, "exact6": 16, "network4": 8, "network6": 20}
KIND_OF_SIZE = {size: kind for kind, size in KEY_SIZES.items()}

#: ``MAX_NESTED_NETWORKS`` in bpf/lists.h.
MAX_PREFIX_LENGTHS = 32

FOREVER = (1 << 64) - 1  #: an ``until`` that never comes

#: ``used`` is 0 in a free record, else 1 + the number of the kind. Times are in ns: ``last_seen`` of CLOCK_MONOTONIC, the
#: others of CLOCK_BOOTTIME. ``since`` is when the entry was put on the list, CLOCK_BOOTTIME in s; 0 if that is not known, as of
#: entries that a version before it has made.
RECORD = Layout(
    *("packets:Q", "bytes:Q", "last_seen:Q", "until_source:Q", "until_destination:Q"),
    *("address:16s", "used:B", "prefix_length:B", "owner:B", ":1x", "since:I"),
)
SLOT = struct.Struct("=I")  #: the number of a record, which is the value in the indexes; also every key of an array

#: What is counted of the entries of one kind: all, those that match on each side, those that expire.
POPULATION = ("entries", "src", "dst", "timed")
_POPULATIONS = [f"{name}.{kind}.{column}:I" for name in LISTS for kind in KINDS for column in POPULATION]
CONTROL = Layout("schema_version:I", "dirty:I", "listening:I", ":4x", "generation:Q", *_POPULATIONS)

CLAIM_KEY = Layout("list:B", "kind:B", "prefix_length:B", "owner:B", "address:16s")
CLAIM = Layout("until:Q", "sides:B", ":7x")  #: sides is a bit set: 1 << SOURCE, 1 << DESTINATION

VERDICTS = ("passed", "dropped")
TIMING_BUCKETS = 32
_TIMED = ("count", "sum", *(f"bucket{number}" for number in range(TIMING_BUCKETS)))
#: The processing times of passed and of dropped frames: their number, their sum in ns and a logarithmic histogram.
TIMING = Layout("unsampled:Q", *(f"{verdict}.{name}:Q" for verdict in VERDICTS for name in _TIMED))

SOURCE_KEY = Layout("family:I", "address:16s")
SOURCE_STATE = Layout("window:Q", "blocked_until:Q", "packets:Q")  #: ``blocked_until`` is CLOCK_BOOTTIME in ns

#: ``time`` is CLOCK_MONOTONIC in ns, ``processing`` is in ns.
EVENT = Layout(
    *("time:Q", "interface:I", "bytes:I", "processing:I", "vlan:H", "family:B", "protocol:B", "type:B", "code:B"),
    *("has_type:B", "reason:B", "monitored:B", ":3x", "source:16s", "destination:16s"),
)
NO_VLAN = 0xFFFF
EVENT_BUDGET = Layout("sent:Q", "suppressed:Q", "lost:Q", "window:I", "used:I")
EVENT_BUFFER_SIZE = 1 << 20  #: bytes; a power of two and of whole pages

OWNER_SIZE = 64  #: bytes of the longest name of an owner, with its final NUL
MAX_OWNERS = 256  #: number 0 means several owners, which have claims
MAX_CLAIMS = 65536
COMMENT_SIZE = 256  #: bytes of the longest comment of an entry, with its final NUL
MAX_COMMENTS = 65536
META_SIZE = 16384

ZERO = struct.pack("=I", 0)  #: the key of every map with one element

#: The values of the maps that a change of schema can convert, by the name of their pin.
LAYOUTS = {
    "control": CONTROL,
    "records": RECORD,
    "counters": counters({**REASONS_BY_NUMBER, **WOULD_DROP}, REASON_NUMBERS),
    "timing": TIMING,
    "event_budget": EVENT_BUDGET,
}

#: The fields of these values that filters add to: all but the ones named here.
_NOT_COUNTED = {"timing": ("unsampled",), "event_budget": ("window", "used")}
COUNTED = {
    name: tuple(field for field in LAYOUTS[name].offsets if field not in _NOT_COUNTED.get(name, ()))
    for name in ("counters", "timing", "event_budget")
}
COUNTED["records"] = ("packets", "bytes")

#: The layouts that earlier schemas had, where they differ from those of the schema that followed.
EARLIER = {
    1: {"control": Layout("schema_version:I", "dirty:I", "listening:I", ":4x", *_POPULATIONS)},
    2: {"counters": counters(dict(enumerate((*PASS_REASONS[:6], *DROP_REASONS[:3]))), 9)},
}


def layouts(number: int) -> dict[str, Layout]:
    """Return the layouts of a schema, this one or an earlier one that is known."""
    found = dict(LAYOUTS)
    for earlier in range(SCHEMA_VERSION - 1, number - 1, -1):
        found.update(EARLIER[earlier])
    return found


def of_schema(maps: dict[str, bpf.MapInfo], number: int) -> dict[str, bpf.MapInfo]:
    """Return the declarations that maps have in a schema, given those of this one."""
    known = layouts(number)
    return {name: info._replace(value_size=known[name].size) if name in known else info for name, info in maps.items()}


def _array(kind: int, value_size: int, *, max_entries: int = 1, flags: int = 0) -> bpf.MapInfo:
    return bpf.MapInfo(type=kind, key_size=SLOT.size, value_size=value_size, max_entries=max_entries, flags=flags)


def _index(kind: str, capacity: int) -> bpf.MapInfo:
    is_trie = kind.startswith("network")
    return bpf.MapInfo(
        type=bpf.LPM_TRIE if is_trie else bpf.HASH,
        key_size=KEY_SIZES[kind],
        value_size=SLOT.size,
        max_entries=capacity,
        flags=bpf.NO_PREALLOC if is_trie else 0,
    )


def list_maps(capacity: int) -> dict[str, bpf.MapInfo]:
    """Return the maps of one list by the name of their pin. ``capacity`` is in entries."""
    records = _array(bpf.ARRAY, RECORD.size, max_entries=capacity, flags=bpf.MMAPABLE)
    return {"records": records, **{kind: _index(kind, capacity) for kind in KINDS}}


#: The maps of the host that belong to no list.
HOST_MAPS = {
    "control": _array(bpf.ARRAY, CONTROL.size, flags=bpf.MMAPABLE),
    "owners": _array(bpf.ARRAY, OWNER_SIZE, max_entries=MAX_OWNERS, flags=bpf.MMAPABLE),
    "claims": bpf.MapInfo(
        type=bpf.HASH,
        key_size=CLAIM_KEY.size,
        value_size=CLAIM.size,
        max_entries=MAX_CLAIMS,
        flags=bpf.NO_PREALLOC,
    ),
}

#: The ring buffer, which is made with the first filter that reports events.
EVENTS_MAP = bpf.MapInfo(type=bpf.RINGBUF, key_size=0, value_size=0, max_entries=EVENT_BUFFER_SIZE, flags=0)

#: The comments of entries, made with the first one. A change may add new comments before it deletes old ones.
COMMENTS_MAP = bpf.MapInfo(
    type=bpf.HASH,
    key_size=CLAIM_KEY.size,
    value_size=COMMENT_SIZE,
    max_entries=2 * MAX_COMMENTS,
    flags=bpf.NO_PREALLOC,
)

#: The maps of every filter.
FILTER_MAPS = {
    "counters": _array(bpf.PERCPU_ARRAY, LAYOUTS["counters"].size),
    "meta": _array(bpf.ARRAY, META_SIZE),
}
TIMING_MAP = _array(bpf.PERCPU_ARRAY, TIMING.size)
EVENT_BUDGET_MAP = _array(bpf.PERCPU_ARRAY, EVENT_BUDGET.size)


def sources_map(size: int) -> bpf.MapInfo:
    """Return the map of the sources that the rate limit counts. ``size`` is in sources."""
    return bpf.MapInfo(
        type=bpf.LRU_HASH, key_size=SOURCE_KEY.size, value_size=SOURCE_STATE.size, max_entries=size, flags=0
    )


#: The maps of a filter whose size an option sets.
SIZED_MAPS = ("sources",)

#: The counts of a filter's old maps that have been added to the new ones. It exists only while that is done.
CARRIED_MAP = _array(bpf.ARRAY, 8, max_entries=len(COUNTED))

#: Every name that a filter's pin can have.
FILTER_PINS = (*FILTER_MAPS, "timing", "event_budget", "sources")
HOST_PINS = (*HOST_MAPS, "events", "comments")


def is_declared(info: bpf.MapInfo, name: str, *, declared: bpf.MapInfo, any_size: bool) -> bool:
    """Return whether a map is one that some schema, also an earlier or a later one, declares for the pin of this name.

    With ``any_size`` it may have any number of entries.
    """
    return info == declared._replace(
        value_size=info.value_size if name in LAYOUTS else declared.value_size,
        max_entries=info.max_entries if any_size else declared.max_entries,
    )
