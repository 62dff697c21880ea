# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the entries of the lists that have to do with one address or network.

What covers an address is looked up in the indexes, so it costs the same on a list of any length.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..entries.claims import Claims
from ..kernel import schema
from ..store.entry_list import EntryList, opened_list
from ..store.pins import Pins
from ..store.records import Counts

#: In the order in which the packet path asks the lists: see ``decide`` in bpf/verdict.h.
ORDER = (schema.ALLOWLIST, schema.BLOCKLIST)


class Listed(NamedTuple):
    """An entry of a list."""

    list_name: str
    key: bytes
    untils: tuple[int, int]  #: the end of its match on each side, CLOCK_BOOTTIME in ns
    claims: Claims
    counts: Counts
    since: int | None  #: when it was put on the list, CLOCK_BOOTTIME in ns; None if that is not known


class Inside(NamedTuple):
    """The entries of a list that lie inside of a network."""

    list_name: str
    number: int
    shown: list[Listed]  #: the first of them


class Covers(NamedTuple):
    """The entries that cover an address or network: the allowlist's first, of each list the narrowest first."""

    own: list[Listed]
    everybody: list[Listed]  #: those that also cover every other address, and so the other side of each packet
    moment: int  #: at which all this is so, CLOCK_BOOTTIME in ns

    def decisive(self, side: int, *, alone: bool = False) -> Listed | None:
        """Return the entry that decides about packets with the address on this side; None if no entry does.

        The other address of the packet is one that no entry covers but those that cover everybody; with ``alone``, not even
        these. The order is that of ``decide`` in bpf/verdict.h and of ``on_list`` in bpf/lists.h.
        """
        by_side = {side: self.own, 1 - side: () if alone else self.everybody}
        matching = (
            entry
            for name in ORDER
            for each in (schema.SOURCE, schema.DESTINATION)
            for entry in by_side[each]
            if entry.list_name == name and entry.untils[each] > self.moment
        )
        return next(matching, None)


@contextlib.contextmanager
def opened_lists(pins: Pins) -> Iterator[list[EntryList]]:
    """Open all lists, in the order of ``ORDER``; none on a host that has no lists."""
    with contextlib.ExitStack() as stack:
        lists = [stack.enter_context(opened_list(pins, name)) for name in ORDER]
        yield [entries for entries in lists if entries is not None]


def covers_of(lists: Iterable[EntryList], key: bytes) -> Covers:
    """Return the entries that cover an address or network and have not expired."""
    everybody = addresses.network(bytes(len(addresses.split(key).address)), 0)
    now = durations.boot_time()
    own = [entry for entries in lists for entry in _around(entries, key, now)]
    return Covers(own, [entry for entry in own if entry.key == everybody], now)


def _around(entries: EntryList, key: bytes, now: int) -> Iterator[Listed]:
    for cover, untils in entries.around(key):
        slot = entries.slot_of(cover) if max(untils) > now else None
        if slot is not None:  # else it has expired, or another run has just removed it
            yield _listed(entries, cover, slot)


def inside_of(entries: EntryList, key: bytes, most: int) -> Inside:
    """Return how many entries lie inside of a network, and up to ``most`` of them. Reads the whole list."""
    size = len(addresses.split(key).address)
    found = list(entries.inside(key))
    # The order of ``addresses.sort_key`` within one family, as it may be needed a million times.
    first = heapq.nsmallest(most, found, key=lambda item: (item[0][-size:], len(item[0]), item[0]))
    return Inside(entries.name, len(found), [_listed(entries, inner, slot) for inner, slot in first])


def _listed(entries: EntryList, key: bytes, slot: int) -> Listed:
    return Listed(
        list_name=entries.name,
        key=key,
        untils=entries.records.untils(slot),
        claims=entries.claims(slot),
        counts=entries.records.counts(slot),
        since=entries.records.since(slot),
    )
