# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the table of a list's entries, on memory that is not shared with a kernel."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.records import Records, Signature

FOREVER = schema.FOREVER
WINDOW = 65536  #: slots that are mapped at once
CAPACITY = WINDOW + 5000
SOURCE, BOTH = (FOREVER, 0), (FOREVER, FOREVER)
KEYS = {
    "exact4": [addresses.parse(f"10.0.{n >> 8}.{n & 255}") for n in range(3000)],
    "exact6": [addresses.parse(f"2001:db8::{n:x}") for n in range(50)],
    "network4": [addresses.parse(f"10.{n}.0.0/16") for n in range(50)],
    "network6": [addresses.parse(f"2001:db8:{n:x}::/48") for n in range(50)],
}


@pytest.fixture
def records():
    with empty() as opened:
        yield opened


@contextlib.contextmanager
def empty() -> Iterator[Records]:
    table = os.memfd_create("table")
    os.ftruncate(table, CAPACITY * schema.RECORD.size)

    def memory(first: int, number: int) -> mmap.mmap:
        return mmap.mmap(table, number * schema.RECORD.size, offset=first * schema.RECORD.size)

    opened = Records(SimpleNamespace(info=SimpleNamespace(max_entries=CAPACITY), memory=memory))
    yield opened
    opened.close()  # fails if a view of the memory still exists
    os.close(table)


def used(records: Records) -> bytes:
    return b"".join(part for _start, part in records.used())


def content(records: Records) -> dict:
    """Return slot, ends and owner of each key."""
    found = {}
    for signature, slots in records.alike():
        for key, slot in zip(records.keys(signature, slots), slots):
            assert key not in found
            found[key] = slot, signature.untils, signature.owner
    return found


@pytest.mark.parametrize("kind", schema.KINDS)
def test_what_is_filled_in_is_read_back(records, kind):
    keys = KEYS[kind]
    records.fill([range(3, 3 + len(keys))], keys, untils=BOTH, owner=7)
    assert content(records) == {key: (slot, BOTH, 7) for slot, key in enumerate(keys, 3)}
    for slot, key in enumerate(keys[:3], 3):
        assert records.key(slot) == key
        assert records.untils(slot) == BOTH
        assert records.owner(slot) == 7
        length = {4: 32, 16: 128}.get(len(key), key[0])
        assert records.signature(slot) == Signature(kind, length, 7, BOTH)
    assert used(records) == bytes(3) + bytes([1 + schema.KINDS.index(kind)]) * len(keys) + bytes(
        CAPACITY - 3 - len(keys)
    )


def test_a_new_entry_has_met_no_packet_whatever_the_slot_held_before(records):
    assert records.place(0) == 0
    records.as_u64[0:8] = memoryview(bytes(range(64))).cast("Q")
    records.fill([range(1)], KEYS["network6"][:1], untils=SOURCE, owner=1)
    assert records.counts(0) == (0, 0, 0)
    assert content(records) == {KEYS["network6"][0]: (0, SOURCE, 1)}


def test_free_slots_are_given_out_from_the_first_on_and_filled_piecewise(records):
    records.fill([range(2000)], KEYS["exact4"][:2000], untils=SOURCE, owner=1)
    records.free([1, 2, 1500])
    assert records.free_slots(2) == [range(1, 3)]
    stretches = records.free_slots(5)
    assert stretches == [range(1, 3), range(1500, 1501), range(2000, 2002)]
    records.fill(stretches, KEYS["exact6"][:5], untils=BOTH, owner=2)
    found = content(records)
    assert [found[key] for key in KEYS["exact6"][:5]] == [(slot, BOTH, 2) for slot in (1, 2, 1500, 2000, 2001)]
    assert len(found) == 2002
    assert records.free_slots(0) == []


def test_an_edit_leaves_counters_and_address_alone(records):
    records.fill([range(3)], KEYS["exact4"][:3], untils=SOURCE, owner=1)
    records.write(1, "packets", 42)
    records.edit(1, BOTH, 9)
    assert list(records.busy()) == [(1, 42)]
    assert content(records)[KEYS["exact4"][1]] == (1, BOTH, 9)
    records.free([1])
    assert not list(records.busy())


def test_entries_on_both_sides_of_the_end_of_a_window_are_like_any(records):
    start = WINDOW - 1500
    keys = KEYS["exact4"]
    records.fill([range(start, start + len(keys))], keys, untils=SOURCE, owner=1)
    assert content(records) == {key: (slot, SOURCE, 1) for slot, key in enumerate(keys, start)}
    assert records.free_slots(start + 2) == [range(start), range(start + 3000, start + 3002)]
    for slot in (start, WINDOW - 1, WINDOW, start + 2999):
        records.edit(slot, BOTH, slot & 7)
        assert (records.key(slot), records.untils(slot), records.owner(slot)) == (keys[slot - start], BOTH, slot & 7)
        records.write(slot, "packets", slot)
    assert list(records.busy()) == [(slot, slot) for slot in (start, WINDOW - 1, WINDOW, start + 2999)]
    records.free(range(start, start + 2999))
    assert content(records) == {keys[2999]: (start + 2999, BOTH, (start + 2999) & 7)}


def test_who_knows_how_many_entries_there_are_need_not_look_further(records):
    records.fill([range(100)], KEYS["exact4"][:100], untils=SOURCE, owner=1)
    assert not list(records.alike(0))
    assert [start for start, _used in records.used(100)] == [0]
    assert [start for start, _used in records.used(101)] == [0, WINDOW]


def test_prefix_lengths_are_counted_by_kind(records):
    records.fill([range(50)], KEYS["network6"], untils=SOURCE, owner=1)
    records.fill(
        [range(50, 52)], [addresses.parse(text) for text in ("10.0.0.0/9", "10.0.0.0/10")], untils=SOURCE, owner=1
    )
    records.free([0, 51])
    assert records.prefix_lengths("network6") == {48: 49}
    assert records.prefix_lengths("network4") == {9: 1}


groups = st.lists(
    st.tuples(
        st.sampled_from(schema.KINDS), st.sampled_from([SOURCE, BOTH, (0, 5)]), st.integers(0, 3), st.integers(1, 40)
    ),
    max_size=8,
)


@settings(deadline=None)  # a busy machine is not a failure
@given(groups, st.sets(st.integers(0, 300)))
def test_entries_that_are_alike_are_found_together_and_none_is_missed(groups, freed):
    expected, start = {}, 0
    left = {kind: list(keys) for kind, keys in KEYS.items()}
    with empty() as table:
        for kind, untils, owner, number in groups:
            keys = [left[kind].pop() for _ in range(min(number, len(left[kind])))]
            if keys:
                table.fill([range(start, start + len(keys))], keys, untils=untils, owner=owner)
            expected.update({key: (slot, untils, owner) for slot, key in enumerate(keys, start)})
            start += len(keys)
        table.free([slot for slot in freed if slot < start])
        assert content(table) == {key: told for key, told in expected.items() if told[0] not in freed}
