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
    """What one host counted of one source, in packets. ``level`` is its colour, 0 for none.

    Of a source that the rate limit blocks, a host may know that it is there, and no packets.
    """

    seen: bool
    packets: int
    recent: int
    level: int


class Heat(NamedTuple):
    """The heat map: a row of cells for each source, in the order of ``hosts``."""

    hosts: list[str]
    rows: list[tuple[FleetSource, list[Cell]]]
    legend: list[tuple[int, str]]  #: the levels that occur, with their packets as text
    seeing: int  #: hosts that see a source, also those that have no column
    uncounted: bool  #: whether a host knows no packets of a source that it sees


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
    scale = _Scale(most)
    rows = [
        (
            each,
            [_cell(each.ip in seen[host], seen[host][each.ip], recent[host][each.ip], scale) for host in hosts[:HOSTS]],
        )
        for each in sources
    ]
    uncounted = any(cell.seen and not cell.packets for _source, cells in rows for cell in cells)
    return Heat(hosts[:HOSTS], rows, scale.legend(), len(hosts), uncounted)


class _Scale:
    """Colours for numbers up to ``most``: each stands for numbers of so many digits, and the largest get the last one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._digits = -(-len(str(most)) // LEVELS)
        self._steps = -(-len(str(most)) // self._digits)

    def level(self, value: int) -> int:
        """Return the colour of a number, 1 to LEVELS."""
        step = (len(str(value)) - 1) // self._digits
        return 1 + step * (LEVELS - 1) // max(1, self._steps - 1)

    def legend(self) -> list[tuple[int, str]]:
        """Return the colours with their numbers as text. None if there is no number but 0."""
        if not self._most:
            return []
        ends = [10 ** (self._digits * step) for step in range(self._steps + 1)]
        return [(self.level(start), f"{short(start)} to {short(end - 1)}") for start, end in zip(ends, ends[1:])]


def _cell(seen: bool, packets: int, recent: int, scale: _Scale) -> Cell:
    return Cell(seen, packets, recent, scale.level(packets) if packets else 0)


def short(value: int) -> str:
    """Return a number in at most four characters, such as 999, 1.2k, 34k, 567M, rounded down."""
    for size, unit in _UNITS:
        if value >= size:
            tenths = value * 10 // size
            return f"{tenths // 10}.{tenths % 10}{unit}" if tenths < 100 else f"{tenths // 10}{unit}"
    return str(value)
