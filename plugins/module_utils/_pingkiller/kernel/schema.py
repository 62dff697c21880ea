# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel side and user space both lay out in memory: the twin of ``bpf/schema.h``.

All numbers are in host byte order, all addresses in network byte order.
"""

from __future__ import annotations

import struct

from . import bpf

#: Goes up whenever a map's declaration or the meaning of its bytes changes. What was before goes into ``EARLIER``.
SCHEMA_VERSION = 3
FUNCTION = "pingkiller"  #: the filter's name in C, by which its programs are known


class Layout:
    """The fields of a map's value by name, each given as ``name:format of struct``; without a name it is padding."""

    def __init__(self, *fields: str) -> None:
        pairs = [field.split(":") for field in fields]
        formats = [each for _name, each in pairs]
        self._struct = struct.Struct("=" + "".join(formats))
        self._empty = {name: b"" if each.endswith("s") else 0 for name, each in pairs if name}
        ends = [struct.calcsize("=" + "".join(formats[:number])) for number in range(len(formats))]
        self.offsets = {name: end for (name, _format), end in zip(pairs, ends) if name}
        self.size = self._struct.size

    def unpack(self, value: bytes, start: int = 0) -> dict:
        return dict(zip(self._empty, self._struct.unpack_from(value, start)))

    def pack(self, **values) -> bytes:
        """Fields that are not given are zero, those that are unknown are left out."""
        return self._struct.pack(*(values.get(name, empty) for name, empty in self._empty.items()))


PASS_REASONS = ("not_icmp", "malformed", "protected", "allowlist", "type", "policy_pass", "unclassified")
DROP_REASONS = ("blocklist", "ratelimit", "policy_drop", "too_many_tags")
REASONS = PASS_REASONS + DROP_REASONS
#: By number. What is between the names is to spare: another reason lays out nothing anew.
FIRST_DROP, FIRST_WOULD_DROP, REASON_NUMBERS = 8, 12, 16
REASONS_BY_NUMBER = {**dict(enumerate(PASS_REASONS)), **dict(enumerate(DROP_REASONS, FIRST_DROP))}
#: What monitor mode counts in place of the reasons that drop, by number.
WOULD_DROP = {number: f"would_drop.{reason}" for number, reason in enumerate(DROP_REASONS, FIRST_WOULD_DROP)}
FAMILIES = ("other", "ipv4", "ipv6")

#: The counters of a number that nothing has yet.
_SPARE = f":{len(FAMILIES) * 16}x"


def counters(names: dict[int, str], numbers: int) -> Layout:
    """Packets and bytes of each reason and family, as ``REASON.FAMILY.packets`` and ``REASON.FAMILY.bytes``."""
    fields: list[str] = []
    for number in range(numbers):
        cells = [f"{names.get(number)}.{family}.{what}:Q" for family in FAMILIES for what in ("packets", "bytes")]
        fields += cells if number in names else [_SPARE]
    return Layout(*fields)


SOURCE, DESTINATION = 0, 1
BLOCKLIST, ALLOWLIST = "blocklist", "allowlist"
LISTS = (BLOCKLIST, ALLOWLIST)

#: Where a filter can be attached.
HOOKS = XDP, TC_INGRESS, TC_EGRESS = ("xdp", "tc_ingress", "tc_egress")
#: What the maps of a list, and those of a filter, are called in the kernel before the names of their pins.
LIST_PREFIX = {name: name[:5] + "_" for name in LISTS}
FILTER_PREFIX = "filter_"
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

#: Words of 64 bits; then, in one of 32 bits: ``used`` (0 for a free slot, else 1 + the kind's number) and what is behind it.
RECORD = Layout(
    *("packets:Q", "bytes:Q", "last_seen:Q", "until_source:Q", "until_destination:Q"),
    *("address:16s", "used:B", "prefix_length:B", "owner:B", ":5x"),
)
SLOT = struct.Struct("=I")

_POPULATIONS = [
    f"{name}.{kind}.{what}:I" for name in LISTS for kind in KINDS for what in ("entries", *DIRECTIONS["both"], "timed")
]
CONTROL = Layout("schema_version:I", "dirty:I", "listening:I", ":4x", "generation:Q", *_POPULATIONS)

#: list, kind, prefix length, owner, address
CLAIM_KEY = struct.Struct("=BBBB16s")
CLAIM = struct.Struct("=QBxxxxxxx")  #: until, sides as a bit set (1 << SOURCE, 1 << DESTINATION)

TIMING_BUCKETS = 32
#: count, sum in ns, buckets: of what passed, or of what was dropped
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

#: What a value holds, of the maps that a change of schema can convert, by the name of their pin.
LAYOUTS = {
    "control": CONTROL,
    "records": RECORD,
    "counters": counters({**REASONS_BY_NUMBER, **WOULD_DROP}, REASON_NUMBERS),
    "timing": Layout(
        "unsampled:Q",
        *(
            f"{v}.{what}:Q"
            for v in VERDICTS
            for what in ("count", "sum", *(f"bucket{n}" for n in range(TIMING_BUCKETS)))
        ),
    ),
    "event_budget": Layout("sent:Q", "suppressed:Q", "lost:Q", "window:I", "used:I"),
}

#: What filters add to, of these: every number but the ones named.
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
    """The layouts of a schema, this one or an earlier one that is known."""
    found = dict(LAYOUTS)
    for each in range(SCHEMA_VERSION - 1, number - 1, -1):
        found.update(EARLIER[each])
    return found


def of_schema(maps: dict[str, bpf.MapInfo], number: int) -> dict[str, bpf.MapInfo]:
    """The declarations of these maps in a schema."""
    known = layouts(number)
    return {name: info._replace(value_size=known[name].size) if name in known else info for name, info in maps.items()}


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
    "control": bpf.MapInfo(bpf.ARRAY, 4, CONTROL.size, 1, bpf.MMAPABLE),
    "owners": bpf.MapInfo(bpf.ARRAY, 4, OWNER_SIZE, MAX_OWNERS, bpf.MMAPABLE),
    "claims": bpf.MapInfo(bpf.HASH, CLAIM_KEY.size, CLAIM.size, MAX_CLAIMS, bpf.NO_PREALLOC),
}

#: The ring buffer, made with the first filter that reports events.
EVENTS_MAP = bpf.MapInfo(bpf.RINGBUF, 0, 0, EVENT_BUFFER_SIZE, 0)

#: The maps of every filter.
FILTER_MAPS = {
    "counters": bpf.MapInfo(bpf.PERCPU_ARRAY, 4, LAYOUTS["counters"].size, 1, 0),
    "meta": bpf.MapInfo(bpf.ARRAY, 4, META_SIZE, 1, 0),
}
TIMING_MAP = bpf.MapInfo(bpf.PERCPU_ARRAY, 4, TIMING_HEAD.size + TIMING.size * len(VERDICTS), 1, 0)
EVENT_BUDGET_MAP = bpf.MapInfo(bpf.PERCPU_ARRAY, 4, EVENT_BUDGET.size, 1, 0)


def sources_map(size: int) -> bpf.MapInfo:
    """The sources that the rate limit keeps count of."""
    return bpf.MapInfo(bpf.LRU_HASH, SOURCE_KEY.size, SOURCE_STATE.size, size, 0)


#: The maps of a filter whose size an option sets.
SIZED_MAPS = ("sources",)

#: Which of the counts of a filter's maps have been added to those that took their place; only while that is done.
CARRIED_MAP = bpf.MapInfo(bpf.ARRAY, 4, 8, len(COUNTED), 0)

#: Every name that a filter's pin can have.
FILTER_PINS = (*FILTER_MAPS, "timing", "event_budget", "sources")
HOST_PINS = (*HOST_MAPS, "events")


def is_declared(info: bpf.MapInfo, name: str, declared: bpf.MapInfo, any_size: bool) -> bool:
    """Whether a map is what some schema declares for the pin of this name, be it one before this or one to come."""
    size = info.value_size if name in LAYOUTS else declared.value_size
    return info == declared._replace(
        value_size=size, max_entries=info.max_entries if any_size else declared.max_entries
    )
