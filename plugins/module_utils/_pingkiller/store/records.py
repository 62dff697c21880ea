# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a list's entries, in memory that is shared with the kernel.

A list may have millions of entries. So the methods that concern all of them work on columns and stretches of the table
instead of entries: the interpreter copies a column in one step, and looks once at a stretch of entries that are alike.
The fields that the packet path writes are never written for an entry that an index names.

The part of the table that a process maps counts as its memory, and mapping takes time. So only a window is mapped. It
moves to where a slot is looked at.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress
from typing import NamedTuple

from ..kernel import bpf, schema
from ..kernel.layout import Layout

#: Slots looked at or filled together: many for speed, few because one slot that differs costs a look at each.
_STRETCH = 1024
#: Slots mapped at once: 4 MB, and whole pages whatever the size of a record.
_WINDOW = 64 * _STRETCH
_NS = 10**9


class Signature(NamedTuple):
    """The fields that entries have in common if they are alike."""

    kind: str
    prefix_length: int
    owner: int
    untils: tuple[int, int]  #: the end of the match as a source, and as a destination


class Alike(NamedTuple):
    """Entries that are near one another in the table and have the same signature."""

    signature: Signature
    slots: Sequence[int]


class Counts(NamedTuple):
    """What the packet path has counted of an entry."""

    packets: int
    bytes: int
    last_seen: int  #: CLOCK_MONOTONIC, ns; 0 for never


class Records:
    """The table, opened. Close it after use.

    ``as_u64``, ``as_u32`` and ``as_u8`` are views of the window, by numbers of this size. 64-bit fields are read and
    written in one piece.
    """

    def __init__(self, table: bpf.Map, layout: Layout = schema.RECORD) -> None:
        self.capacity = table.info.max_entries
        self._table, self._layout = table, layout
        self._size, self._u64_size, self._u32_size = layout.size, layout.size // 8, layout.size // 4
        # Fields by their place in a record, in numbers of the view that reads them.
        fields = ("packets", "bytes", "last_seen", "until_source", "until_destination")
        self._u64 = {field: layout.offsets[field] // 8 for field in fields}
        self._packets, self._bytes, self._last_seen, self._until, self._until_destination = self._u64.values()
        self._tag = layout.offsets["used"] // 4  #: ``used``, ``prefix_length`` and ``owner`` in 32 bits
        self._used, self._owner = layout.offsets["used"], layout.offsets["owner"]
        self._since = layout.offsets["since"] // 4
        self._window = range(0)  #: the slots that are mapped

    def close(self) -> None:
        if self._window:
            self._window = range(0)
            for view in (self.as_u64, self.as_u32, self.as_u8):
                view.release()
            self._memory.close()

    def place(self, slot: int) -> int:
        """Return the position of a slot in the window. If that moves the window, its views are new ones."""
        if slot not in self._window:
            self.close()
            start = slot - slot % _WINDOW
            window = range(start, min(start + _WINDOW, self.capacity))
            self._memory = self._table.memory(start, len(window))
            self.as_u8 = memoryview(self._memory)
            self.as_u32 = self.as_u8.cast("I")
            self.as_u64 = self.as_u8.cast("Q")
            self._window = window
        return slot - self._window.start

    def write(self, slot: int, field: str, number: int) -> None:
        """Write a 64-bit field of a record."""
        position = self.place(slot) * self._u64_size + self._u64[field]
        self.as_u64[position] = number

    def offset(self, field: str) -> int:
        """Return the offset of a field in a record, in bytes."""
        return self._layout.offsets[field]

    # One entry

    def counts(self, slot: int) -> Counts:
        start = self.place(slot) * self._u64_size
        view = self.as_u64
        return Counts(view[start + self._packets], view[start + self._bytes], view[start + self._last_seen])

    def untils(self, slot: int) -> tuple[int, int]:
        """Return the end of an entry's match on each side."""
        start = self.place(slot) * self._u64_size
        return self.as_u64[start + self._until], self.as_u64[start + self._until_destination]

    def owner(self, slot: int) -> int:
        """Return the number of an entry's owner."""
        return next(self.owners((slot,)))

    def signature(self, slot: int) -> Signature | None:
        """Return what a slot holds, or None for a free slot."""
        start = self.place(slot) * self._u32_size
        return _signature(self.as_u32[start + self._tag], *self.untils(slot))

    def key(self, slot: int) -> bytes | None:
        """Return the key of the entry in a slot, or None for a free slot."""
        signature = self.signature(slot)
        return self.keys(signature, (slot,))[0] if signature else None

    def edit(self, slot: int, untils: tuple[int, int], owner: int) -> None:
        """Change when an entry's match ends and who owns it. Its counters go on."""
        place = self.place(slot)
        start = place * self._u64_size
        self.as_u64[start + self._until], self.as_u64[start + self._until_destination] = untils
        self.as_u8[place * self._size + self._owner] = owner

    def see(self, slot: int, moment: int) -> None:
        """Note that an entry was last seen at this moment, unless it was seen later."""
        self.write(slot, "last_seen", max(self.counts(slot).last_seen, moment))

    def since(self, slot: int) -> int | None:
        """Return when an entry was put on the list, as CLOCK_BOOTTIME in ns. None if that is not known."""
        (since,) = self.by_since((slot,))
        return since or None

    # Many

    def _places(self, slots: Iterable[int]) -> Iterator[int]:
        """Call ``place`` for each slot when its turn comes. Quicker for many slots."""
        for slot in slots:
            if slot not in self._window:
                self.place(slot)
            yield slot - self._window.start

    def owners(self, slots: Iterable[int]) -> Iterator[int]:
        """Return the number of the owner of the entry in each slot."""
        return (self.as_u8[place * self._size + self._owner] for place in self._places(slots))

    def by_since(self, slots: Sequence[int]) -> dict[int, Sequence[int]]:
        """Return slots by when their entries were put on the list, as CLOCK_BOOTTIME in ns; 0 if that is not known."""
        found: dict[int, list[int]] = defaultdict(list)
        for slot, place in zip(slots, self._places(slots)):
            found[self.as_u32[place * self._u32_size + self._since]].append(slot)
        return {seconds * _NS: slots if len(found) == 1 else alike for seconds, alike in found.items()}

    def used(self, number: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Return the ``used`` column by windows: the first slot, then 0 or 1 + the kind's number for each slot.

        With ``number``, the number of entries, it ends after the last entry.
        """
        for start in range(0, self.capacity, _WINDOW):
            if number is not None and number <= 0:
                return
            self.place(start)
            used = self.as_u8[self._used :: self._size].tobytes()
            yield start, used
            if number is not None:
                number -= len(used) - used.count(0)

    def alike(self, number: int | None = None) -> Iterator[Alike]:
        """Return all entries. ``number`` is how many there are, if that is known: see ``used``."""
        for first, used in self.used(number):
            extent = first + len(used.rstrip(b"\0"))  # lists are filled from the front
            for start in range(first, extent, _STRETCH):
                for values, slots in self._stretch(start, min(start + _STRETCH, extent)).items():
                    signature = _signature(*values)
                    if signature:
                        yield Alike(signature, slots)

    def _stretch(self, start: int, stop: int) -> dict[tuple[int, int, int], Sequence[int]]:
        """Return the slots of one stretch by the fields that make up a signature."""
        place = self.place(start)
        end = place + stop - start
        tags = self.as_u32[place * self._u32_size + self._tag : end * self._u32_size : self._u32_size]
        sources, destinations = (
            self.as_u64[place * self._u64_size + until : end * self._u64_size : self._u64_size]
            for until in (self._until, self._until_destination)
        )
        if _uniform(tags) and _uniform(sources) and _uniform(destinations):
            return {(tags[0], sources[0], destinations[0]): range(start, stop)}
        found: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for slot, values in enumerate(zip(tags, sources, destinations), start):
            found[values].append(slot)
        return dict(found)

    def keys(self, signature: Signature, slots: Sequence[int]) -> list[bytes]:
        """Return the keys of slots of one stretch that have this signature."""
        size = 4 if signature.kind.endswith("4") else 16
        address = self.offset("address")
        start = self.place(slots[0]) * self._size
        addresses: Sequence[bytes]
        if isinstance(slots, range):
            record = f"{address}x{size}s{self._size - address - size}x"
            addresses = struct.unpack_from("=" + record * len(slots), self._memory, start)
        else:
            starts = [start + (slot - slots[0]) * self._size + address for slot in slots]
            addresses = [self._memory[start : start + size] for start in starts]
        if signature.kind.startswith("exact"):
            return list(addresses)
        prefix = schema.SLOT.pack(signature.prefix_length)
        return [prefix + address for address in addresses]

    def prefix_lengths(self, kind: str) -> Counter[int]:
        """Return how many networks of this kind have which prefix length."""
        lengths: Counter[int] = Counter()
        if any(1 + schema.KINDS.index(kind) in used for _start, used in self.used()):
            for signature, slots in self.alike():
                lengths[signature.prefix_length] += len(slots) if signature.kind == kind else 0
        return +lengths

    def busy(self, number: int | None = None) -> Iterator[tuple[int, int]]:
        """Return the slot and the packets of each entry that matched packets. ``number`` is as in ``alike``."""
        for start, used, packets in self.packets(number):
            if packets == bytes(len(packets)):  # quickly seen, and true for most of a long list
                continue
            counted = memoryview(packets).cast("Q")
            for place in compress(range(len(used)), counted):
                if used[place]:
                    yield start + place, counted[place]

    def packets(self, number: int | None = None) -> Iterator[tuple[int, bytes, bytes]]:
        """Return the columns ``used``, as ``used`` does, and ``packets``, which has 64-bit numbers, by windows."""
        for start, used in self.used(number):
            yield start, used, self.as_u64[self._packets :: self._u64_size].tobytes()

    # Filling and freeing

    def free_slots(self, number: int) -> list[range]:
        """Return the first ``number`` free slots as stretches."""
        found: list[range] = []
        for start, used in self.used():
            for free in re.finditer(rb"\0+", used):
                if not number:
                    return found
                first = start + free.start()
                found.append(range(first, min(start + free.end(), first + number)))
                number -= len(found[-1])
        return found

    def fill(
        self, stretches: list[range], keys: list[bytes], *, untils: tuple[int, int], owner: int, since: int = 0
    ) -> None:
        """Write entries of one kind into free slots. No index may name these slots yet. ``since`` is as in ``by_since``."""
        position = 0
        for slots in chain.from_iterable(map(_pieces, stretches)):
            part = keys[position : position + len(slots)]
            start = self.place(slots.start) * self._size
            packed = _packed(part, self._layout, untils=untils, owner=owner, since=since)
            self.as_u8[start : start + len(packed)] = packed
            position += len(part)

    def free(self, slots: Iterable[int]) -> None:
        """Mark slots as free. No index may name them any more."""
        for place in self._places(slots):
            self.as_u8[place * self._size + self._used] = 0


def _pieces(slots: range) -> Iterator[range]:
    """Return the slots as ranges, none of them longer than a stretch or in two windows."""
    start = slots.start
    while start < slots.stop:
        stop = min(slots.stop, start - start % _STRETCH + _STRETCH)
        yield range(start, stop)
        start = stop


def _uniform(column: memoryview) -> bool:
    values = column.tobytes()
    return values == values[: column.itemsize] * len(column)


def _signature(tag: int, source: int, destination: int) -> Signature | None:
    """Decode the 32 bits around ``used`` and each side's ``until``; None for a free slot."""
    used, length, owner, _reserved = struct.pack("=I", tag)
    return Signature(schema.KINDS[used - 1], length, owner, (source, destination)) if used else None


def _packed(keys: list[bytes], layout: Layout, *, untils: tuple[int, int], owner: int, since: int) -> bytearray:
    """Return the records of new entries of one kind, one after the other."""
    kind = schema.KIND_OF_SIZE[len(keys[0])]
    record = layout.pack(
        until_source=untils[schema.SOURCE],
        until_destination=untils[schema.DESTINATION],
        used=1 + schema.KINDS.index(kind),
        prefix_length=len(keys[0]) * 8,  # of a network it is written below
        owner=owner,
        since=since // _NS,
    )
    packed = bytearray(record * len(keys))
    u32_size, address = layout.size // 4, layout.offsets["address"] // 4
    table, columns = memoryview(packed).cast("I"), memoryview(b"".join(keys)).cast("I")
    words, address_words = len(keys[0]) // 4, 1 if kind.endswith("4") else 4
    for word in range(address_words):
        table[address + word :: u32_size] = columns[words - address_words + word :: words]
    if kind.startswith("network"):
        packed[layout.offsets["prefix_length"] :: layout.size] = bytes(columns[::words].tolist())
    return packed
