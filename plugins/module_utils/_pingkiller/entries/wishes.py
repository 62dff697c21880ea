# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a list: the keys of its entries, with the directions and the end that are wanted of each."""

from __future__ import annotations

import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from ..kernel import schema
from .addresses import names


class Wanted(NamedTuple):
    """What is asked for one entry, apart from its address."""

    sides: tuple[int, ...]
    until: int = schema.FOREVER


class Others:
    """What is wanted of the keys at some positions, in ascending order: a line with options takes 13 bytes here."""

    _SIDES = tuple(schema.DIRECTIONS.values())

    def __init__(self, items: Iterable[tuple[int, Wanted]] = ()) -> None:
        self.positions, self._sides, self._untils = array.array("I"), array.array("B"), array.array("Q")
        for position, wanted in items:
            self.add(position, wanted)

    def add(self, position: int, wanted: Wanted, number: int = 1) -> None:
        """Of so many keys from this position on, which is behind all others here."""
        self.positions.extend(range(position, position + number))
        self._sides.extend(array.array("B", [self._SIDES.index(wanted.sides)]) * number)
        self._untils.extend(array.array("Q", [wanted.until]) * number)

    def __len__(self) -> int:
        return len(self.positions)

    def items(self) -> Iterator[tuple[int, Wanted]]:
        """Equal ones are one object."""
        known: dict[tuple[int, int], Wanted] = {}
        for position, *code in zip(self.positions, self._sides, self._untils):
            code = tuple(code)
            if code not in known:
                known[code] = Wanted(self._SIDES[code[0]], code[1])
            yield position, known[code]

    def sides(self) -> set[int]:
        """All that any of them names."""
        return {side for code in set(self._sides) for side in self._SIDES[code]}


class Wishes(NamedTuple):
    """The entries asked for, in the order in which they were: a million of them are no million objects but their keys."""

    keys: list[bytes]  #: may have doubles, which are all wanted alike: see ``merged``
    wanted: Wanted  #: of every key
    others: Others = Others()  #: of the keys at these positions instead
    skipped: int = 0  #: how many lines were left out as they were no entries
    notes: tuple[str, ...] = ()  #: what a user should know of how this was read, as sentences

    def distinct(self) -> Collection[bytes]:
        """The keys without doubles; by key where not all are wanted alike."""
        # A set takes half the time of a dictionary, and doubles are rare.
        alike = not self.others and len(set(self.keys)) == len(self.keys)
        return self.keys if alike else self.by_key()

    def by_key(self) -> dict[bytes, Wanted]:
        """Without doubles."""
        if not self.others:
            return dict.fromkeys(self.keys, self.wanted)
        return dict(zip(self.keys, self.each()))

    def each(self) -> list[Wanted]:
        """What is wanted of each of the keys."""
        wanted = [self.wanted] * len(self.keys)
        for position, other in self.others.items():
            wanted[position] = other
        return wanted

    def by_wanted(self) -> dict[Wanted, list[bytes]]:
        """The keys by what is wanted of them, without doubles where that differs."""
        if not self.others:
            return {self.wanted: self.keys}
        found = defaultdict(list)
        for key, wanted in self.by_key().items():
            found[wanted].append(key)
        return dict(found)

    @classmethod
    def of(cls, groups: list[tuple[Wanted, list[bytes]]]) -> Wishes:
        """The inverse, of at least one group. No key is in two of them."""
        keys: list[bytes] = []
        others = Others()
        usual = groups[0][0]
        for wanted, alike in groups:
            if wanted != usual:
                others.add(len(keys), wanted, len(alike))
            keys += alike
        return cls(keys, usual, others)


def merged(wishes: Wishes) -> Wishes:
    """Let all doubles of a key be wanted alike, and note where they were not: the directions of all, the latest end."""
    if not wishes.others or len(set(wishes.keys)) == len(wishes.keys):
        return wishes
    keys = wishes.keys
    doubled = {key for key, number in Counter(keys).items() if number > 1}
    doubled.intersection_update(map(keys.__getitem__, wishes.others.positions))
    asked: dict[bytes, Wanted] = {}
    differing = set()
    for key, wanted in zip(keys, wishes.each()):
        if key in doubled and asked.setdefault(key, wanted) != wanted:
            asked[key] = _both(asked[key], wanted)
            differing.add(key)
    if not differing:
        return wishes
    values = enumerate(asked[key] if key in differing else wanted for key, wanted in zip(keys, wishes.each()))
    others = Others((position, wanted) for position, wanted in values if wanted != wishes.wanted)
    return wishes._replace(others=others, notes=(*wishes.notes, *_merge_notes(differing)))


def _both(one: Wanted, other: Wanted) -> Wanted:
    return Wanted(tuple(sorted({*one.sides, *other.sides})), max(one.until, other.until))


def _merge_notes(differing: Collection[bytes]) -> list[str]:
    return [
        f"more than one line asks for {names(differing)}, in different ways: for good wins over a ttl, a longer ttl over "
        f"a shorter one, and directions add up"
    ]
