# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a fleet, one line a host. Text of hosts is already safe to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import (
    LEFT,
    RIGHT,
    clipped,
    number,
    short,
    table,
    width,
)
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import MISSING
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import FleetSource, HostStatus

_LONGEST_NAME, _SHORTEST_NAME = 40, 12  #: columns of a host's name
_MONITOR, _MIXED = "monitor", "mixed"
_RECENT = "LAST {:g} S"


def hosts(statuses: Sequence[HostStatus], seconds: float, columns: int) -> list[str]:
    """Write one line a host, the headings first, with as many cells as these columns of a terminal have room for.

    ``seconds`` are those that the hosts measured for. A host that gave no answer has its message in place of the cells.
    """
    shown = [name for name in _COLUMNS if seconds or name != _RECENT]
    name = _LONGEST_NAME
    lines = _lines(statuses, shown, name, seconds)
    for left_out in ("", *_LEFT_OUT):
        if max(map(width, lines)) <= columns:
            break
        name = max(columns // 4, _SHORTEST_NAME)
        shown = [each for each in shown if each != left_out]
        lines = _lines(statuses, shown, name, seconds)
    told = table({**_FIRST, "": LEFT}, [[clipped(each.host, name), each.state, each.message] for each in statuses])
    silent = [False, *(bool(each.message) for each in statuses)]
    return [clipped(other if alone else line, columns) for line, other, alone in zip(lines, told, silent)]


def sources(busiest: Sequence[FleetSource], seconds: float, columns: int) -> list[str]:
    """Write one line a source, the headings first, with the owners if there is room for them. Nothing if there is no source."""
    headings = {
        "BUSIEST SOURCE": LEFT,
        "PACKETS": RIGHT,
        _RECENT.format(seconds): RIGHT,
        "HOSTS": RIGHT,
        "REASON": LEFT,
    }
    rows = [
        [each.ip, short(each.packets), short(each.recent), number(each.hosts), ", ".join(each.reasons)]
        for each in busiest
    ]
    lines = table({**headings, "OWNERS": LEFT}, [[*row, ", ".join(each.owners)] for row, each in zip(rows, busiest)])
    if max(map(width, lines)) > columns:
        lines = table(headings, rows)
    return [clipped(line, columns) for line in lines] if rows else []


def measured(statuses: Iterable[HostStatus]) -> float:
    """Return for how many seconds the hosts measured, 0 if they did not."""
    return round(max((each.recent.seconds for each in statuses), default=0.0), 1)


# Cells


def _filters(each: HostStatus) -> str:
    wanted = [filter_ for filter_ in each.filters if filter_.wanted]
    attached = sum(filter_.mode != MISSING for filter_ in wanted)
    return f"{attached + each.filters_left_out} of {len(wanted) + each.filters_left_out}"


def _mode(each: HostStatus) -> str:
    return _same(filter_.mode for filter_ in each.filters if filter_.mode != MISSING)


def _policy(each: HostStatus) -> str:
    return _same(_MONITOR if filter_.monitor else filter_.policy for filter_ in each.filters if filter_.mode != MISSING)


def _same(words: Iterable[str]) -> str:
    found = set(words)
    return found.pop() if len(found) == 1 else _MIXED if found else "-"


def _drift(each: HostStatus) -> str:
    return number(len(each.drift) + each.drift_left_out or None)


def _fill(each: HostStatus) -> str:
    """Write how full the fuller list is."""
    if not each.lists:
        return "-"
    count, capacity = max(each.lists.values(), key=lambda fill: fill.count / (fill.capacity or 1))
    percent = 100 * count / (capacity or 1)
    return "<1 %" if 0 < percent < 1 else f"{percent:.0f} %"


class _Column(NamedTuple):
    """A column of the table."""

    side: str  #: LEFT or RIGHT
    show: Callable[[HostStatus], str]


_FIRST = {"HOST": LEFT, "STATE": LEFT}
#: The other columns by their headings.
_COLUMNS = {
    "FILTERS": _Column(LEFT, _filters),
    "MODE": _Column(LEFT, _mode),
    "POLICY": _Column(LEFT, _policy),
    "DRIFT": _Column(RIGHT, _drift),
    "VERSION": _Column(LEFT, lambda each: each.version or "-"),
    "LISTS": _Column(RIGHT, _fill),
    "DROPPED": _Column(RIGHT, lambda each: short(each.counts.dropped)),
    _RECENT: _Column(RIGHT, lambda each: short(each.recent.dropped)),
    "TOP SOURCE": _Column(LEFT, lambda each: each.sources[0].ip if each.sources else "-"),
}
#: The columns that a narrow terminal has no room for, the first of them first.
_LEFT_OUT = ("VERSION", "TOP SOURCE", "MODE", "LISTS", _RECENT, "DRIFT", "POLICY", "FILTERS", "DROPPED")


def _lines(statuses: Iterable[HostStatus], shown: Sequence[str], longest: int, seconds: float) -> list[str]:
    headings = {name.format(seconds): _COLUMNS[name].side for name in shown}
    return table({**_FIRST, **headings}, [_cells(each, shown, longest) for each in statuses])


def _cells(each: HostStatus, shown: Sequence[str], longest: int) -> list[str]:
    return [
        clipped(each.host, longest),
        each.state,
        *("" if each.message else _COLUMNS[column].show(each) for column in shown),
    ]
