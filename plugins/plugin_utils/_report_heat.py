# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of a report: the busiest of the fleet, and a heat map of them by the hosts that see most of them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import FleetSource, HostStatus, busiest

SOURCES, HOSTS = 20, 24  #: rows and columns
LEVELS = 5  #: colours
_UNITS = ((10**18, "E"), (10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


class Cell(NamedTuple):
    """What one host counted of one source, in packets. ``level`` is its colour, 0 for none."""

    packets: int
    recent: int
    level: int


class Heat(NamedTuple):
    """The heat map: a row of cells for each source, in the order of ``hosts``."""

    hosts: list[str]
    rows: list[tuple[FleetSource, list[Cell]]]
    legend: list[str]  #: the packets of each level, as text
    more: int  #: hosts that see a source and have no column


def heat(statuses: list[HostStatus], limit: int = SOURCES) -> Heat:
    """Make the heat map of the fleet's busiest sources."""
    sources = busiest(statuses, limit)
    wanted = {each.ip for each in sources}
    seen: dict[str, Counter[str]] = {}
    recent: dict[str, Counter[str]] = {}
    for each in statuses:
        for source in each.sources:
            if source.ip in wanted:
                seen.setdefault(each.host, Counter())[source.ip] += source.packets
                recent.setdefault(each.host, Counter())[source.ip] += source.recent
    hosts = sorted(seen, key=lambda host: (-sum(seen[host].values()), host))
    most = max((packets for counted in seen.values() for packets in counted.values()), default=0)
    digits = _digits(most)
    rows = [
        (each, [_cell(seen[host][each.ip], recent[host][each.ip], digits) for host in hosts[:HOSTS]])
        for each in sources
    ]
    return Heat(hosts[:HOSTS], rows, _legend(most, digits), max(0, len(hosts) - HOSTS))


def _digits(most: int) -> int:
    """Return how many digits of a number are one level, so that the levels are enough for the largest number."""
    return -(-len(str(most)) // LEVELS)


def _cell(packets: int, recent: int, digits: int) -> Cell:
    return Cell(packets, recent, (len(str(packets)) - 1) // digits + 1 if packets else 0)


def _legend(most: int, digits: int) -> list[str]:
    ends = [10 ** (digits * level) for level in range(LEVELS + 1)]
    return [f"{short(start)} to {short(end - 1)}" for start, end in zip(ends, ends[1:]) if start <= max(most, 1)]


def short(value: int) -> str:
    """Return a number in at most four characters, such as 999, 1.2k, 34k, 567M, rounded down."""
    for size, unit in _UNITS:
        if value >= size:
            tenths = value * 10 // size
            return f"{tenths // 10}.{tenths % 10}{unit}" if tenths < 100 else f"{tenths // 10}{unit}"
    return str(value)
