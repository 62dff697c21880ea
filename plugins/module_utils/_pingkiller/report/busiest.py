# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the sources that a host drops most from: entries of the blocklist, and sources that the rate limit blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..entries import addresses
from ..entries.claims import comment_of
from ..kernel import schema
from ..store.entry_list import EntryList, opened_list
from ..store.pins import Pins
from .rates import Busy, Table
from .validity import validity

_LIMITED = 3  #: rate-limited sources that are shown even if that many entries are busier


class Source(NamedTuple):
    """A source of packets. Monitor mode counts the packets of an entry, too, though it passes them."""

    ip: str  #: an address or a network
    packets: int  #: ever
    recent: int  #: between two readings
    reason: str  #: blocklist or ratelimit
    owners: tuple[str, ...] = ()
    comment: str = ""


class Entries:
    """Reads the blocklist again and again, by columns: it may have a million entries."""

    def __init__(self) -> None:
        self._map_id: int | None = None
        self._table = Table()

    def read(self, pins: Pins, number: int) -> list[Source]:
        """Return the entries that matched most since the reading before, and ever."""
        with opened_list(pins, schema.BLOCKLIST) as entries:
            if entries is None:
                return []
            if entries.table.map_id != self._map_id:
                self._map_id, self._table = entries.table.map_id, Table()
            in_use = None if entries.dirty else entries.control.count(schema.BLOCKLIST)
            busiest = self._table.read(entries.records.packets(in_use), number)
            return [source for each in busiest if (source := _described(entries, each))]


def _described(entries: EntryList, busy: Busy) -> Source | None:
    """Describe an entry. None if it has expired, or has gone since the table was read."""
    key, valid = entries.records.key(busy.slot), validity(entries.records.untils(busy.slot))
    if key is None or valid.direction is None:
        return None
    claims = entries.claims(busy.slot)
    ip, owners = addresses.display(key), tuple(sorted(claims))
    return Source(ip, busy.packets, busy.more, schema.BLOCKLIST, owners, comment_of(claims))


def limited(filters: dict[str, dict[str, Any]], dropped: dict[str, int]) -> list[Source]:
    """Return the sources that the rate limit of filters blocks, which are given as ``filter_facts.collect`` returns them.

    The kernel does not count their packets by source. So only a source that is the only one of its filter has packets: those
    that the filter has just dropped, given by its name.
    """
    found = []
    for name, each in filters.items():
        blocked = each["ratelimit"]["blocked"] if each["ratelimit"] else []
        packets = dropped.get(name, 0) if len(blocked) == 1 else 0
        found += [Source(source["ip"], packets, packets, "ratelimit") for source in blocked]
    return found


def busiest(entries: list[Source], limited_ones: list[Source], number: int) -> list[Source]:
    """Return the busiest sources, with some of the limited ones in any case."""
    entries = entries[: number - min(_LIMITED, len(limited_ones))]
    return sorted([*entries, *limited_ones[: number - len(entries)]], key=lambda each: (-each.recent, -each.packets))
