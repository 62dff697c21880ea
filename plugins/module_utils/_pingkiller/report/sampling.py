# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host again and again: what its filters do now, and which entries and sources are busiest.

Reads only, compiles nothing and takes no lock. Filters and maps may come, go and be replaced from one look to the next.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from typing import Any, NamedTuple

from .. import durations
from ..kernel import schema
from ..store import filter_meta, host_maps
from ..store.entry_list import EntryList, opened_list
from ..store.pins import Pins
from . import filter_facts
from .rates import Busy, Meter, Pace, Rates, Table
from .validity import validity

#: What is counted of each filter, apart from its reasons. ``passed`` includes ``would_drop``.
SUMS = ("passed", "dropped", "would_drop")
_PACKETS = ".packets"
_NS = 10**9


class FilterNow(NamedTuple):
    """A filter and what it does. ``rates`` are of SUMS, of reasons, and of reasons that monitor mode would drop for."""

    name: str
    mode: str  #: none if its program is not attached
    options: dict[str, Any]
    lent: dict[str, Any]  #: options that it has only for a while, with the values to put back
    rates: Rates


class BusyEntry(NamedTuple):
    """An entry that matched packets."""

    key: bytes
    owners: list[str]
    direction: str
    seconds_left: int | None  #: None for an entry that never expires
    per_second: float
    packets: int  #: ever


class ListNow(NamedTuple):
    """A list, with its busiest entries."""

    entries: int  #: includes those that have expired and were not removed yet
    capacity: int
    busiest: list[BusyEntry]
    every: float  #: seconds between two looks at the entries, if that is longer than asked for; else 0


class Source(NamedTuple):
    """A source that the rate limit of a filter counts."""

    filter: str
    name: str  #: an address, or an IPv6 network
    packets: int  #: in the second that is being counted; a source that is blocked is not counted
    limit: int
    seconds_left: int  #: that it is blocked; 0: it is not


class Look(NamedTuple):
    """A host at one moment."""

    wall_time: float
    filters: list[FilterNow]
    lists: dict[str, ListNow]
    sources: list[Source]  #: the blocked ones first, then those nearest to their limit


class Watch:
    """Looks at a host. The looks belong together: rates are those since the look before.

    ``base`` is the directory of the pins.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._meters: dict[str, tuple[int | None, Meter]] = {}
        self._lists = {name: _ListWatch(name) for name in schema.LISTS}
        self._sources_pace = Pace()
        self._sources: list[Source] = []

    def look(self, number: int, *, by_total: bool = False) -> Look:
        """Look now. Each list has up to ``number`` of its busiest entries. Raises PingKillerError and OSError.

        An error can be one of the moment, when maps are being replaced or removed.
        """
        pins = Pins(self._base)
        pins.check_mount()
        pins = pins.in_use()
        names = pins.filters()
        self._meters = {name: meter for name, meter in self._meters.items() if name in names}
        filters, matched = [], Counter[str]()
        for name in names:
            now, counts = self._filter(pins, name)
            filters.append(now)
            matched.update(
                {each: counts[each] + counts[f"would_drop.{each}"] for each in schema.LISTS}
            )  # reasons have their names
        return Look(
            wall_time=time.time(),
            filters=filters,
            lists={
                name: each.look(pins, number, matched=matched[name], by_total=by_total)
                for name, each in self._lists.items()
            },
            sources=self._limited(pins, filters, number),
        )

    def _filter(self, pins: Pins, name: str) -> tuple[FilterNow, Counter[str]]:
        running = filter_meta.running(pins, name)
        noted = running.noted if running else filter_meta.Noted()
        counters = host_maps.map_id(pins, pins.filter_pin(name, "counters"))
        if self._meters.get(name, (None,))[0] != counters:
            self._meters[name] = counters, Meter(SUMS)
        counts = _counts(filter_facts.map_sums(pins, name, "counters", info=schema.FILTER_MAPS["counters"]))
        timing = filter_facts.times(pins, name)
        rates = self._meters[name][1].read(time.monotonic(), counts, timing)
        mode = running.mode if running else "none"
        return FilterNow(name, mode, noted.options, noted.lent, rates), counts

    def _limited(self, pins: Pins, filters: list[FilterNow], number: int) -> list[Source]:
        moment = time.monotonic()
        if self._sources_pace.due(moment):
            before = time.thread_time()
            found = [each for now in filters for each in _sources(pins, now, number)]
            self._sources = heapq.nlargest(number, found, key=lambda each: (each.seconds_left, each.packets))
            self._sources_pace.took(moment, time.thread_time() - before)
        return self._sources


def _counts(sums: Counter[str]) -> Counter[str]:
    """Add up the packets of all families, by reason, and by the verdicts that follow from the reasons."""
    counts = Counter[str]()
    for field, value in sums.items():
        if field.endswith(_PACKETS):
            counts[field[: -len(_PACKETS)].rpartition(".")[0]] += value
    would_drop = sum(counts[f"would_drop.{reason}"] for reason in schema.DROP_REASONS)
    counts["passed"] = sum(counts[reason] for reason in schema.PASS_REASONS) + would_drop
    counts["dropped"] = sum(counts[reason] for reason in schema.DROP_REASONS)
    counts["would_drop"] = would_drop
    return counts


class _ListWatch:
    """Looks at one list. Its table is read only if an entry has matched a packet, and not more often than is cheap."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._forget(None)

    def _forget(self, table: int | None) -> None:
        """Begin anew, with another table."""
        self._map_id, self._table, self._pace = table, Table(), Pace()
        self._read_at: float | None = None
        self._busiest: list[Busy] = []
        self._seconds = 0.0  #: that ``more`` of the busiest entries is about
        self._asked: tuple[int, int, bool] | None = None

    def look(self, pins: Pins, number: int, *, matched: int, by_total: bool) -> ListNow:
        """``matched`` is how many packets the filters have counted for the list."""
        started = time.monotonic()
        with opened_list(pins, self._name) as entries:
            if entries is None:
                self._forget(None)
                return ListNow(0, 0, [], 0.0)
            if entries.table.map_id != self._map_id:
                self._forget(entries.table.map_id)
            asked = matched, number, by_total
            if self._pace.due(started) and (asked != self._asked or any(each.more for each in self._busiest)):
                self._read(entries, started, number, by_total=by_total)
                self._asked = asked
            busiest = [found for each in self._busiest if (found := self._described(entries, each))]
            return ListNow(entries.control.count(self._name), entries.capacity, busiest, self._pace.seconds)

    def _read(self, entries: EntryList, started: float, number: int, *, by_total: bool) -> None:
        before = time.thread_time()
        in_use = None if entries.dirty else entries.control.count(self._name)
        self._busiest = self._table.read(entries.records.packets(in_use), number, by_total=by_total)
        self._seconds = started - self._read_at if self._read_at is not None else 0.0
        self._read_at = started
        self._pace.took(started, time.thread_time() - before)

    def _described(self, entries: EntryList, busy: Busy) -> BusyEntry | None:
        """Describe an entry. None if it has gone since the table was read."""
        key, valid = entries.records.key(busy.slot), validity(entries.records.untils(busy.slot))
        if key is None or valid.direction is None:
            return None
        return BusyEntry(
            key=key,
            owners=sorted(entries.claims(busy.slot)),
            direction=valid.direction,
            seconds_left=valid.seconds_left,
            per_second=busy.more / self._seconds if self._seconds else 0.0,
            packets=busy.packets,
        )


def _sources(pins: Pins, now: FilterNow, number: int) -> list[Source]:
    """Return the sources of one filter that are blocked or were counted in the last second, up to ``number``."""
    limit = now.options.get("ratelimit_pps", 0)
    found = pins.open_map(pins.filter_pin(now.name, "sources")) if limit else None
    if found is None:
        return []
    with found:
        keys, values = found.read_columns()
    clock = durations.boot_time()
    state = schema.SOURCE_STATE
    columns = memoryview(values).cast("Q")
    windows, untils, packets = (
        columns[state.offsets[field] // 8 :: state.size // 8].tolist()
        for field in ("window", "blocked_until", "packets")
    )
    counted = (
        (max(0, until - clock), count if until <= clock else 0, place)
        for place, (window, until, count) in enumerate(zip(windows, untils, packets))
        if until > clock or clock - window < _NS
    )
    size, prefix = schema.SOURCE_KEY.size, now.options.get("ratelimit_ipv6_prefix", 128)
    return [
        Source(
            filter=now.name,
            name=filter_facts.source_name(keys[place * size : (place + 1) * size], prefix),
            packets=count,
            limit=limit,
            seconds_left=durations.rounded_up(left),
        )
        for left, count, place in heapq.nlargest(number, counted)
    ]
