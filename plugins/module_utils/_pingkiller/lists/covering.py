# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find which entries of a list cover which keys.

Of a few keys each is looked up. For many keys the whole list is read once.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..store.entry_list import EntryList
from ..store.list_reader import MANY
from .predicted_list import PredictedList


class Asked(NamedTuple):
    """Keys that are requested with the same sides."""

    keys: list[bytes]
    sides: tuple[int, ...]


class Cover(NamedTuple):
    """A key, and an entry that covers it."""

    key: bytes
    cover: bytes  #: the key of the entry
    untils: tuple[int, int]  #: the entry's ends, as source and as destination


def covering(
    entries: EntryList | PredictedList,
    asked: Iterable[Asked],
    *,
    without: Collection[bytes] = (),
    itself: bool = True,
) -> dict[bytes, list[bytes]]:
    """Return the keys that an entry covers on a side that is asked for, by the key of the narrowest such entry.

    Entries in ``without`` do not count, nor, unless ``itself``, does the entry of the very key.
    """
    found: dict[bytes, list[bytes]] = defaultdict(list)
    seen: set[bytes] = set()
    now = durations.boot_time()
    for keys, sides in () if entries.empty else asked:
        for key, cover, untils in _one_by_one(entries, keys) if len(keys) <= MANY else _all_at_once(entries, keys):
            if key in seen or cover in without or (cover == key and not itself):
                continue
            if any(untils[side] > now for side in sides):
                found[cover].append(key)
                seen.add(key)
    return found


def in_order(covered: dict[bytes, list[bytes]]) -> list[tuple[bytes, list[bytes]]]:
    """Return the covering entries in the order of display, with the keys that they cover."""
    return sorted(covered.items(), key=lambda item: addresses.sort_key(item[0]))


def described(entries: EntryList | PredictedList, key: bytes) -> str:
    """Name an entry of a list in a sentence, with its owners."""
    return f"{addresses.display(key)} on the {entries.name} (owner {', '.join(entries.owners(key))})"


def _one_by_one(entries: EntryList | PredictedList, keys: list[bytes]) -> Iterator[Cover]:
    return (Cover(key, cover, untils) for key in keys for cover, untils in entries.around(key))


def _all_at_once(entries: EntryList | PredictedList, keys: list[bytes]) -> Iterator[Cover]:
    """Yield the narrowest covers first, as looking up each key does."""
    inside = Inside(keys)
    for cover, untils in sorted(entries.covers(), key=lambda item: -addresses.split(item[0]).length):
        for key in inside.network(cover):
            yield Cover(key, cover, untils)


class Inside:
    """Finds which of many addresses and networks are inside of a network."""

    def __init__(self, keys: list[bytes]) -> None:
        self._exact: dict[int, list[int]] = {4: [], 16: []}
        self._networks: dict[int, list[tuple[int, bytes]]] = {4: [], 16: []}
        for alike in addresses.by_size(keys).values():
            size = len(addresses.split(alike[0]).address)
            if len(alike[0]) == size:
                self._exact[size] = _sorted_numbers(alike)
            else:
                self._networks[size] = sorted((int.from_bytes(key[4:], "big"), key) for key in alike)

    def network(self, key: bytes) -> Iterator[bytes]:
        """Yield the keys inside of the network, or the address, with this key."""
        address, length = addresses.split(key)
        size = len(address)
        first = int.from_bytes(address, "big")
        end = first + (1 << (size * 8 - length))
        exact, networks = self._exact[size], self._networks[size]
        for number in exact[bisect_left(exact, first) : bisect_left(exact, end)]:
            yield number.to_bytes(size, "big")
        for _number, inner in networks[bisect_left(networks, (first, b"")) : bisect_right(networks, (end, b""))]:
            if addresses.split(inner).length >= length:
                yield inner


def _sorted_numbers(alike: list[bytes]) -> list[int]:
    """Return addresses of one family as sorted numbers: these are sorted in a third of the time that bytes take."""
    if len(alike[0]) == 4:
        return sorted(struct.unpack(f">{len(alike)}I", b"".join(alike)))
    return sorted(int.from_bytes(key, "big") for key in alike)
