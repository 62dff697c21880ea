# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a report as rows of its table, and the places that they have in other orders than worst first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import shortened
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import number
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import MISSING, Filter
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_sums import Fullest
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import HostStatus

_FILTERS = 3  #: those of a host that are shown; the others are counted
_PROBLEM = 120  #: characters

#: The orders besides worst first: what a reader chooses, and the key.
ORDERS: dict[str, tuple[str, Callable[[HostStatus], tuple]]] = {
    "n": ("Name", lambda each: (each.host,)),
    "r": ("Dropped now", lambda each: (-each.recent.dropped - each.recent.would_drop, each.host)),
    "d": ("Dropped in all", lambda each: (-each.counts.dropped - each.counts.would_drop, each.host)),
    "f": ("List fill", lambda each: (-_fill(each).share, each.host)),
}


class Row(NamedTuple):
    """A host in the table. ``places`` has its place in each of ORDERS, beginning with 0."""

    status: HostStatus
    problem: str  #: the first sentence about what is wrong, and how many more there are; empty if nothing is
    filters: list[tuple[str, str]]  #: names, and what they do in words
    more_filters: int
    on: int  #: wanted filters that are there
    wanted: int
    fill: Fullest
    places: dict[str, int]


def rows(statuses: list[HostStatus]) -> list[Row]:
    """Return a row for each host, in the same order."""
    places: list[dict[str, int]] = [{} for _each in statuses]
    for order, (_label, key) in ORDERS.items():
        keys = [key(each) for each in statuses]
        for place, index in enumerate(sorted(range(len(statuses)), key=keys.__getitem__)):
            places[index][order] = place
    return [_row(each, place) for each, place in zip(statuses, places)]


def _row(each: HostStatus, places: dict[str, int]) -> Row:
    wanted = [found for found in each.filters if found.wanted]
    return Row(
        status=each,
        problem=_problem(each),
        filters=[(found.name, _does(found)) for found in each.filters[:_FILTERS]],
        more_filters=len(each.filters[_FILTERS:]) + each.filters_left_out,
        on=sum(found.mode != MISSING for found in wanted),
        wanted=len(wanted),
        fill=_fill(each),
        places=places,
    )


def _problem(each: HostStatus) -> str:
    said = [each.message] if each.message else [*each.drift]
    more = len(said) + each.drift_left_out - 1
    if not said:
        return ""
    return shortened(said[0], _PROBLEM) + (f"; and {number(more)} more" if more > 0 else "")


def _does(found: Filter) -> str:
    if found.mode == MISSING:
        return "missing"
    does = "monitor" if found.monitor else found.policy
    unwanted = "" if found.wanted else "not wanted"
    return ", ".join(filter(None, (found.mode, does, unwanted)))


def _fill(each: HostStatus) -> Fullest:
    found = each.lists.get("blocklist")
    return Fullest(each.host, "blocklist", *(found or (0, 0)))
