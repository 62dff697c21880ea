# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a list's entries, in memory shared with the kernel.

A list may have millions of entries, so whatever concerns all of them goes by columns and stretches of the table rather
than by entries: copying a column is one step of the interpreter, and a stretch of entries that are alike is looked at
once. The fields that the packet path writes are never written for an entry that an index names.

What a process maps of the table counts as its memory, and mapping takes time, so a window of it is mapped, which goes along
to where a slot is looked at.
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

_STRETCH = (
    1024  #: slots looked at or filled together: large for speed, small because one that differs costs a look at each
)
_WINDOW = 64 * _STRETCH  #: slots mapped at once: 4 MB, and whole pages of any size, whatever the size of a record


class Signature(NamedTuple):
    """What entries have in common that are alike for us."""

    kind: str
    prefix_length: int
    owner: int
    untils: tuple[int, int]


class Records:
    """The table, opened. 64-bit fields are written in one piece."""

    def __init__(self, table: bpf.Map, layout: Layout = schema.RECORD) -> None:
        self.capacity = table.info.max_entries
        self._layout, self._at = layout, layout.offsets
        self._size, self._words_each, self._halves_each = layout.size, layout.size // 8, layout.size // 4
        self._counts = [self._at[name] // 8 for name in ("packets", "bytes", "last_seen")]  #: in words of 64 bits
        self._until, self._tag = self._at["until_source"] // 8, self._at["used"] // 4  #: the latter in words of 32 bits
        self._table = table
        self._window = range(0)  #: the slots that are mapped

    def close(self) -> None:
        if self._window:
            self._window = range(0)
            for view in (self.words, self._halves, self._bytes):
                view.release()
            self._memory.close()

    def place(self, slot: int) -> int:
        """Where a slot is in the window. Comes before looking there, as it may be another window then."""
        if slot not in self._window:
            self.close()
            start = slot - slot % _WINDOW
            window = range(start, min(start + _WINDOW, self.capacity))
            self._memory = self._table.memory(start, len(window))
            self._bytes = memoryview(self._memory)
            self._halves = self._bytes.cast("I")
            self.words = self._bytes.cast("Q")
            self._window = window
        return slot - self._window.start

    def offset(self, field: str) -> int:
        """Where a field is in a record."""
        return self._at[field]

    # One entry

    def counts(self, slot: int) -> tuple[int, int, int]:
        """Packets, bytes, last seen."""
        start = self.place(slot) * self._words_each
        return tuple(self.words[start + word] for word in self._counts)

    def untils(self, slot: int) -> tuple[int, int]:
        start = self.place(slot) * self._words_each + self._until
        return self.words[start], self.words[start + 1]

    def owner(self, slot: int) -> int:
        return next(self.owners((slot,)))

    def signature(self, slot: int) -> Signature | None:
        """None for a free slot."""
        start = self.place(slot) * self._halves_each
        return _signature(self._halves[start + self._tag], *self.untils(slot))

    def key(self, slot: int) -> bytes | None:
        """None for a free slot."""
        signature = self.signature(slot)
        return self.keys(signature, (slot,))[0] if signature else None

    def edit(self, slot: int, untils: tuple[int, int], owner: int) -> None:
        """Change what an entry matches and whose it is; its counters go on."""
        place = self.place(slot)
        start = place * self._words_each + self._until
        self.words[start], self.words[start + 1] = untils
        self._bytes[place * self._size + self._at["owner"]] = owner

    def see(self, slot: int, moment: int) -> None:
        """An entry was last seen at this moment, if not later."""
        start = self.place(slot) * self._words_each + self._counts[2]
        self.words[start] = max(self.words[start], moment)

    # Many

    def _places(self, slots: Iterable[int]) -> Iterator[int]:
        """``place`` of each at its turn; quicker for many."""
        for slot in slots:
            if slot not in self._window:
                self.place(slot)
            yield slot - self._window.start

    def owners(self, slots: Iterable[int]) -> Iterator[int]:
        return (self._bytes[place * self._size + self._at["owner"]] for place in self._places(slots))

    def used(self, number: int | None = None) -> Iterator[tuple[int, bytes]]:
        """For each slot 1 + the number of the entry's kind, 0 if it is free: by windows, with the first slot of each.

        With a ``number`` no further than so many are in use: who knows how many there are need not look at the rest.
        """
        for start in range(0, self.capacity, _WINDOW):
            if number is not None and number <= 0:
                return
            self.place(start)
            used = self._bytes[self._at["used"] :: self._size].tobytes()
            yield start, used
            if number is not None:
                number -= len(used) - used.count(0)

    def alike(self, number: int | None = None) -> Iterator[tuple[Signature, Sequence[int]]]:
        """The slots in use, or the first so many, together those that are near one another and have a signature in common."""
        for first, used in self.used(number):
            extent = first + len(used.rstrip(b"\0"))  # lists are filled from the front
            for start in range(first, extent, _STRETCH):
                for values, slots in self._stretch(start, min(start + _STRETCH, extent)).items():
                    signature = _signature(*values)
                    if signature:
                        yield signature, slots

    def _stretch(self, start: int, stop: int) -> dict[tuple[int, int, int], Sequence[int]]:
        """The slots of one stretch by the fields that make up a signature."""
        place = self.place(start)
        end = place + stop - start
        columns = [
            self._halves[place * self._halves_each + self._tag : end * self._halves_each : self._halves_each],
            *(
                self.words[place * self._words_each + until : end * self._words_each : self._words_each]
                for until in (self._until, self._until + 1)
            ),
        ]
        if all(_uniform(column) for column in columns):
            return {tuple(column[0] for column in columns): range(start, stop)}
        found = defaultdict(list)
        for slot, values in enumerate(zip(*columns), start):
            found[values].append(slot)
        return found

    def keys(self, signature: Signature, slots: Sequence[int]) -> list[bytes]:
        """The keys of slots of one stretch that have this signature."""
        size = 4 if signature.kind.endswith("4") else 16
        address = self._at["address"]
        layout = f"{address}x{size}s{self._size - address - size}x"
        start = self.place(slots[0]) * self._size
        if isinstance(slots, range):
            addresses = struct.unpack_from("=" + layout * len(slots), self._memory, start)
        else:
            starts = [start + (slot - slots[0]) * self._size + address for slot in slots]
            addresses = [self._memory[start : start + size] for start in starts]
        if signature.kind.startswith("exact"):
            return list(addresses)
        prefix = schema.SLOT.pack(signature.prefix_length)
        return [prefix + address for address in addresses]

    def prefix_lengths(self, kind: str) -> Counter:
        """How many networks of this kind have which prefix length."""
        lengths: Counter = Counter()
        if any(1 + schema.KINDS.index(kind) in used for _start, used in self.used()):
            for signature, slots in self.alike():
                lengths[signature.prefix_length] += len(slots) if signature.kind == kind else 0
        return +lengths

    def busy(self, number: int | None = None) -> Iterator[tuple[int, int]]:
        """The slots in use, or of the first so many, that met packets, and how many packets."""
        for start, used in self.used(number):
            packets = self.words[self._counts[0] :: self._words_each].tobytes()
            if packets == bytes(len(packets)):  # soon seen, and so for most of a long list
                continue
            counted = memoryview(packets).cast("Q")
            for place in compress(range(len(used)), counted):
                if used[place]:
                    yield start + place, counted[place]

    def free_slots(self, number: int) -> list[range]:
        """So many of the free slots as stretches, the first ones."""
        found = []
        for start, used in self.used():
            for free in re.finditer(rb"\0+", used):
                if not number:
                    return found
                first = start + free.start()
                found.append(range(first, min(start + free.end(), first + number)))
                number -= len(found[-1])
        return found

    def fill(self, stretches: list[range], keys: list[bytes], untils: tuple[int, int], owner: int) -> None:
        """Write entries of one kind into free slots, which no index names yet."""
        position = 0
        for slots in chain.from_iterable(map(_pieces, stretches)):
            place, part = self.place(slots.start), keys[position : position + len(slots)]
            self._bytes[place * self._size : (place + len(part)) * self._size] = _packed(
                part, untils, owner, self._layout
            )
            position += len(part)

    def free(self, slots: Sequence[int]) -> None:
        for place in self._places(slots):
            self._bytes[place * self._size + self._at["used"]] = 0


def _pieces(slots: range) -> Iterator[range]:
    """None of them longer than a stretch, or in two windows."""
    start = slots.start
    while start < slots.stop:
        stop = min(slots.stop, start - start % _STRETCH + _STRETCH)
        yield range(start, stop)
        start = stop


def _uniform(column: memoryview) -> bool:
    values = column.tobytes()
    return values == values[: column.itemsize] * len(column)


def _signature(tag: int, source: int, destination: int) -> Signature | None:
    """From the word around ``used`` and each side's ``until``; None for a free slot."""
    used, length, owner, _reserved = struct.pack("=I", tag)
    return Signature(schema.KINDS[used - 1], length, owner, (source, destination)) if used else None


def _packed(keys: list[bytes], untils: tuple[int, int], owner: int, layout: Layout) -> bytearray:
    """The records of entries of one kind that have met no packet yet, one behind the other."""
    kind = schema.KIND_OF_SIZE[len(keys[0])]
    used = 1 + schema.KINDS.index(kind)
    fields = {"used": used, "prefix_length": len(keys[0]) * 8, "owner": owner}
    packed = bytearray(layout.pack(until_source=untils[0], until_destination=untils[1], **fields) * len(keys))
    halves, address = layout.size // 4, layout.offsets["address"] // 4
    table, columns = memoryview(packed).cast("I"), memoryview(b"".join(keys)).cast("I")
    words, address_words = len(keys[0]) // 4, 1 if kind.endswith("4") else 4
    for word in range(address_words):
        table[address + word :: halves] = columns[words - address_words + word :: words]
    if kind.startswith("network"):
        packed[layout.offsets["prefix_length"] :: layout.size] = bytes(columns[::words].tolist())
    return packed
