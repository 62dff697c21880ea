# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that bpf/ and the Python library use the same layout and the same numbers.

The declarations are parsed from the C and laid out by ctypes as a C compiler would do it. The result is compared with
what
the library packs.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import re
from pathlib import Path

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema

BPF = Path(__file__).resolve().parents[2] / "bpf"
SOURCES = ("schema.h", "protocols.h", "lists.h", "maps.h", "ratelimit.h", "timing.h", "events.h")
C = re.sub(r"/\*.*?\*/", "", "".join((BPF / name).read_text() for name in SOURCES), flags=re.DOTALL)

NUMBERS = {"u8": ctypes.c_uint8, "u16": ctypes.c_uint16, "u32": ctypes.c_uint32, "u64": ctypes.c_uint64}
#: The fingerprint of each schema, by its number; see ``fingerprint``.
FINGERPRINTS = {1: "01935f66bc00bf6f", 2: "6a798fbeb79cc891", 3: "9aa6924cd713745a"}

DEFINED = {name: int(value, 0) for name, value in re.findall(r"#define (\w+) (0x[0-9a-f]+|\d+)\n", C)}


def enums() -> dict:
    """Return the constants of each enum, without the enum's name as prefix, in order and with their values."""
    found = {}
    for name, body in re.findall(r"enum (\w+) \{(.*?)\}", C, re.DOTALL):
        following, constants = 0, {}
        for constant, _equals, value in re.findall(r"(\w+)\s*(=\s*(\w+))?", body):
            if value:
                following = constants[value] if value in constants else int(value, 0)
            constants[constant.removeprefix(name.upper() + "_")] = following
            following += 1
        found[name] = constants
    return found


ENUMS = enums()
CONSTANTS = {name: value for constants in ENUMS.values() for name, value in constants.items()}


def dimensioned(kind, dimensions: str):
    for size in reversed(re.findall(r"\[(\w+)\]", dimensions)):
        kind = kind * int({**DEFINED, **CONSTANTS}.get(size, size))
    return kind


def structs() -> dict:
    """Return each struct that consists only of our own types, as ctypes lays it out."""
    found = dict(NUMBERS)
    for name, body in re.findall(r"struct (\w+) \{(.*?)\};", C, re.DOTALL):
        members = re.findall(r"(?:struct )?(\w+) (\w+)((?:\[\w+\])*);", body)
        if all(kind in found for kind, _member, _dimensions in members):
            fields = [(member, dimensioned(found[kind], dimensions)) for kind, member, dimensions in members]
            found[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return found


STRUCTS = structs()


def offset(name: str, *path) -> int:
    """Return the offset of a member in a struct. The path has names of members and indexes of arrays."""
    kind, total = STRUCTS[name], 0
    for part in path:
        if isinstance(part, str):
            total += getattr(kind, part).offset
            kind = dict(kind._fields_)[part]
        else:
            kind = kind._type_
            total += part * ctypes.sizeof(kind)
    return total


def tables() -> list:
    """Return the maps that the C declares: type, key, value, kind of directory and the path below it."""
    found = re.findall(r'BPF_TABLE_PINNED\("(\w+)", ([\w ]+), ([\w ]+), \w+, 1, (\w+)_PINS "/([\w/]+)"\)', C)
    assert len(found) == C.count("BPF_TABLE_PINNED")
    return [(kind, *(STRUCTS[name.split()[-1]] for name in (key, value)), *where) for kind, key, value, *where in found]


def test_the_reasons_are_in_the_same_order():
    reasons = dict(ENUMS["reason"])
    limits = [reasons.pop(name) for name in ("FIRST_DROP", "FIRST_WOULD_DROP", "REASONS")]
    assert limits == [schema.FIRST_DROP, schema.FIRST_WOULD_DROP, schema.REASON_NUMBERS]
    assert {number: name.lower() for name, number in reasons.items()} == schema.REASONS_BY_NUMBER
    assert tuple(schema.REASONS_BY_NUMBER.values()) == schema.REASONS


def test_there_are_numbers_for_all_reasons_and_for_what_monitor_mode_makes_of_them():
    assert len(schema.PASS_REASONS) < schema.FIRST_DROP
    assert schema.FIRST_DROP + len(schema.DROP_REASONS) <= schema.FIRST_WOULD_DROP
    assert schema.FIRST_WOULD_DROP + len(schema.DROP_REASONS) <= schema.REASON_NUMBERS


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        ("family", (*schema.FAMILIES, "families")),
        ("kind", (*schema.KINDS, "kinds")),
        ("list", ("block", "allow", "lists")),
    ],
)
def test_what_is_counted_has_the_same_numbers(enum, names):
    assert {name.lower(): number for name, number in ENUMS[enum].items()} == {n: i for i, n in enumerate(names)}


def test_the_lists_are_in_the_order_of_the_filter():
    assert schema.LISTS == ("blocklist", "allowlist")


def test_the_sides_have_the_same_numbers():
    assert ENUMS["side"] == {"SOURCE": schema.SOURCE, "DESTINATION": schema.DESTINATION, "SIDES": 2}
    assert sorted(schema.DIRECTIONS["both"]) == [schema.SOURCE, schema.DESTINATION]


def test_the_filter_follows_as_many_networks_as_the_library_lets_in():
    assert DEFINED["MAX_NESTED_NETWORKS"] == schema.MAX_PREFIX_LENGTHS


def test_forever_is_forever():
    (forever,) = re.findall(r"#define FOREVER \((.*)\)", C)
    assert forever == "~0ULL"
    assert ctypes.c_uint64(~0).value == schema.FOREVER


def test_a_record_is_read_as_it_was_written():
    address = bytes(range(16))
    fields = {"packets": 1, "bytes": 2, "last_seen": 3, "until_source": 4, "until_destination": 5}
    packed = schema.RECORD.pack(**fields, address=address, used=6, prefix_length=7, owner=8, since=9)
    record = STRUCTS["record"].from_buffer_copy(packed)
    assert len(packed) == ctypes.sizeof(STRUCTS["record"]) == 64
    assert (record.packets, record.bytes, record.last_seen, *record.until) == (1, 2, 3, 4, 5)
    assert (bytes(record.address), record.used, record.prefix_length, record.owner) == (address, 6, 7, 8)
    assert record.since == 9


def test_the_library_finds_the_fields_of_a_record():
    found = {name: start for name, start in schema.RECORD.offsets.items() if not name.startswith("until")}
    assert found == {name: offset("record", name) for name in found}
    assert schema.RECORD.offsets["until_source"] == offset("record", "until", schema.SOURCE)
    assert schema.RECORD.offsets["until_destination"] == offset("record", "until", schema.DESTINATION)


def test_the_control_map_is_read_as_it_was_written():
    found = schema.CONTROL.offsets
    assert ctypes.sizeof(STRUCTS["control"]) == schema.CONTROL.size
    head = ("schema_version", "dirty", "listening", "generation")
    assert [found[name] for name in head] == [offset("control", name) for name in head]
    for (block, name), (kind, kind_name) in itertools.product(enumerate(schema.LISTS), enumerate(schema.KINDS)):
        row = offset("control", "lists", block, kind)
        members = [("entries",), ("matching", 0), ("matching", 1), ("timed",)]
        names = [f"{name}.{kind_name}.{what}" for what in schema.POPULATION]
        assert [found[each] for each in names] == [row + offset("population", *path) for path in members]


@pytest.mark.parametrize("name", schema.LAYOUTS)
def test_what_a_change_of_schema_converts_is_as_large_as_what_the_filter_has(name):
    struct = {"records": "record"}.get(name, name)
    assert schema.LAYOUTS[name].size == ctypes.sizeof(STRUCTS[struct])
    assert set(schema.COUNTED.get(name, ())) <= set(schema.LAYOUTS[name].offsets)


def test_every_earlier_schema_is_known():
    assert sorted(schema.EARLIER) == list(range(1, schema.SCHEMA_VERSION))
    assert schema.layouts(schema.SCHEMA_VERSION) == schema.LAYOUTS
    for number in schema.EARLIER:
        assert schema.layouts(number).keys() == schema.LAYOUTS.keys()


def fingerprint(number: int) -> str:
    """Hash everything that a schema lays out in maps."""
    maps = {**schema.HOST_MAPS, **schema.FILTER_MAPS, **schema.list_maps(1000), "sources": schema.sources_map(1000)}
    maps.update(timing=schema.TIMING_MAP, event_budget=schema.EVENT_BUDGET_MAP, events=schema.EVENTS_MAP)
    others = (schema.CLAIM_KEY, schema.CLAIM, schema.SOURCE_KEY, schema.SOURCE_STATE, schema.EVENT)
    laid_out = {
        "maps": schema.of_schema(maps, number),
        "layouts": {name: layout.fields for name, layout in schema.layouts(number).items()},
        "others": [layout.fields for layout in others],
    }
    return hashlib.sha256(json.dumps(laid_out, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize(("number", "known"), FINGERPRINTS.items())
def test_a_layout_that_hosts_have_is_not_changed_without_a_new_schema(number, known):
    assert fingerprint(number) == known, (
        "hosts have maps of this schema: make a new SCHEMA_VERSION and put the layout before it into EARLIER; "
        "or, if only a name was changed, note the new fingerprint"
    )


def test_every_schema_has_a_fingerprint():
    assert list(FINGERPRINTS) == list(range(1, schema.SCHEMA_VERSION + 1))


def test_a_counter_is_where_the_library_looks_for_it():
    found = schema.LAYOUTS["counters"].offsets
    for (reason, name), (family, family_name) in itertools.product(
        {**schema.REASONS_BY_NUMBER, **schema.WOULD_DROP}.items(), enumerate(schema.FAMILIES)
    ):
        for what in ("packets", "bytes"):
            place = offset("counters", "cell", reason, family) + offset("counter", what)
            assert found[f"{name}.{family_name}.{what}"] == place
    assert len(found) == 2 * len(schema.REASONS + schema.DROP_REASONS) * len(schema.FAMILIES)


def test_processing_times_are_read_as_the_filter_wrote_them():
    assert DEFINED["TIMING_BUCKETS"] == schema.TIMING_BUCKETS
    offsets = schema.TIMING.offsets
    assert offsets["unsampled"] == offset("timing", "unsampled")
    for verdict in schema.VERDICTS:
        for name in ("count", "sum"):
            assert offsets[f"{verdict}.{name}"] == offset("timing", verdict, name)
        for number in range(schema.TIMING_BUCKETS):
            assert offsets[f"{verdict}.bucket{number}"] == offset("timing", verdict, "bucket", number)


def test_sources_are_read_as_the_filter_wrote_them():
    key = STRUCTS["source_key"].from_buffer_copy(schema.SOURCE_KEY.pack(family=2, address=bytes(range(16))))
    assert (key.family, bytes(key.address)) == (2, bytes(range(16)))
    source = STRUCTS["source"].from_buffer_copy(schema.SOURCE_STATE.pack(window=1, blocked_until=2, packets=3))
    assert (source.window, source.blocked_until, source.packets) == (1, 2, 3)


def test_an_event_is_read_as_the_filter_wrote_it():
    members = [name for name, _kind in STRUCTS["event"]._fields_ if name != "reserved"]
    assert schema.EVENT.offsets == {name: offset("event", name) for name in members}
    assert schema.EVENT.size == ctypes.sizeof(STRUCTS["event"])
    fields = {name: number for number, name in enumerate(members[:-2], 1)}
    packed = schema.EVENT.pack(**fields, source=bytes(range(16)), destination=bytes(range(16, 32)))
    event = STRUCTS["event"].from_buffer_copy(packed)
    assert {name: getattr(event, name) for name in fields} == fields
    assert (bytes(event.source), bytes(event.destination)) == (bytes(range(16)), bytes(range(16, 32)))
    assert DEFINED["NO_VLAN"] == schema.NO_VLAN


def test_the_counts_of_events_are_read_as_the_filter_wrote_them():
    budget = STRUCTS["event_budget"].from_buffer_copy(
        schema.EVENT_BUDGET.pack(sent=1, suppressed=2, lost=3, window=4, used=5)
    )
    assert (budget.sent, budget.suppressed, budget.lost, budget.window, budget.used) == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(("text", "name"), [("192.0.2.0/24", "network4"), ("2001:db8::/32", "network6")])
def test_the_key_of_a_network_is_the_one_of_the_filter(text, name):
    key = STRUCTS[name].from_buffer_copy(addresses.parse(text))
    assert f"{key.prefix_length}" == text.partition("/")[2]
    assert bytes(key.address) == addresses.parse(text.partition("/")[0])


def expected(where: str, path: str) -> bpf.MapInfo:
    """Return the library's declaration of the map at a path."""
    if where == "LIST":
        list_name, name = path.split("/")
        assert list_name in schema.LISTS
        return schema.list_maps(1000)[name]
    assert path in (schema.HOST_PINS if where == "HOST" else schema.FILTER_PINS)
    optional = {
        "timing": schema.TIMING_MAP,
        "event_budget": schema.EVENT_BUDGET_MAP,
        "sources": schema.sources_map(1000),
    }
    return {**schema.HOST_MAPS, **schema.FILTER_MAPS, **optional}[path]


@pytest.mark.parametrize("table", tables(), ids=lambda table: table[-1])
def test_a_map_of_the_filter_is_the_one_that_the_library_makes(table):
    kind, key, value, where, path = table
    declared = expected(where, path)
    assert bpf.TYPE_NAMES[declared.type] == kind
    assert (declared.key_size, declared.value_size) == (ctypes.sizeof(key), ctypes.sizeof(value))


def test_the_ring_buffer_of_the_events_is_the_one_that_the_library_makes():
    assert re.findall(r'section\("maps/(\w+):" HOST_PINS "/(\w+)"\)', C) == [
        (bpf.TYPE_NAMES[schema.EVENTS_MAP.type], "events")
    ]
    assert "events" in schema.HOST_PINS
    assert schema.EVENT_BUFFER_SIZE & schema.EVENT_BUFFER_SIZE - 1 == 0


def test_the_filter_has_every_map_of_both_lists():
    paths = {path for _kind, _key, _value, where, path in tables() if where == "LIST"}
    assert paths == {f"{name}/{each}" for name in schema.LISTS for each in schema.list_maps(1)}


def test_the_structures_of_user_space_hold_what_is_put_into_them():
    assert len(schema.ZERO) == 4
    assert schema.CLAIM_KEY.size == 20
    assert schema.CLAIM.unpack(schema.CLAIM.pack(until=schema.FOREVER, sides=3)) == {
        "until": schema.FOREVER,
        "sides": 3,
    }
