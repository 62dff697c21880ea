# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about the hosts of a fleet in words. Text of hosts is already safe to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import listed
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import number
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import MISSING
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_table import measured
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import (
    DRIFTED,
    FAILED,
    FINE,
    MONITORING,
    UNFILTERED,
    UNREACHABLE,
    UNWANTED,
    HostStatus,
)

#: What is said of one host in a state, and of several.
_SAID = {
    FINE: ("filters as the inventory wants", "filter as the inventory wants"),
    MONITORING: ("only monitors", "only monitor"),
    UNWANTED: ("is to have no filter", "are to have no filter"),
    DRIFTED: ("would change in a deployment", "would change in a deployment"),
    UNFILTERED: ("lacks a filter", "lack a filter"),
    FAILED: ("gave no answer", "gave no answer"),
    UNREACHABLE: ("is not reachable", "are not reachable"),
}


def sum_up(statuses: Sequence[HostStatus]) -> str:
    """Write one sentence about all hosts."""
    states = Counter(each.state for each in statuses)
    counted = [f"{number(states[state])} {_said(state, states[state])}" for state in _SAID if states[state]]
    return f"{hosts(len(statuses))}: {', '.join(counted) or 'none was looked at'}; {_dropped(statuses)}"


def more(left_out: Sequence[HostStatus]) -> str:
    """Write a line about the hosts that the table has no room for."""
    states, lacking = {each.state for each in left_out}, sum(each.lacks for each in left_out)
    told = f"all {states.pop()}" if len(states) == 1 else f"{number(lacking) if lacking else 'none'} of them lacking"
    return f"and {number(len(left_out))} more, {told} (-e pingkiller_rows=0 shows all)"


def lacking(statuses: Sequence[HostStatus]) -> str:
    """Name the hosts that lack what they should have in a sentence. Empty if there is none."""
    names = [f"{each.host} ({each.state})" for each in statuses if each.lacks]
    if not names:
        return ""
    lack = "lacks what it" if len(names) == 1 else "lack what they"
    return f"{number(len(names))} of {hosts(len(statuses))} {lack} should have: {listed(names)}"


def about(each: HostStatus) -> list[str]:
    """Return sentences about what is wrong with a host that gave an answer, or is not what one may think, the worst first."""
    found = [*each.drift]
    if each.state == UNFILTERED and not each.drift:
        missing = [filter_.name for filter_ in each.filters if filter_.mode == MISSING]
        found.append(f"{', '.join(missing) or 'every filter'} is missing")
    if each.drift_left_out:
        found.append(f"a deployment would change {number(each.drift_left_out)} more")
    if any(filter_.monitor and filter_.mode != MISSING for filter_ in each.filters):
        found.append(f"only monitors: would have dropped {number(each.counts.would_drop)}")
    return [*found, *each.notes]


def hosts(count: int) -> str:
    """Write a number of hosts."""
    return f"{number(count)} host{'' if count == 1 else 's'}"


def _said(state: str, count: int) -> str:
    return _SAID[state][count != 1]


def _dropped(statuses: Iterable[HostStatus]) -> str:
    seconds = measured(statuses)
    recent, in_all = (sum(getattr(each, which).dropped for each in statuses) for which in ("recent", "counts"))
    lately = f"{number(recent)} in the last {seconds:g} s and " if seconds else ""
    return f"dropped {lately}{number(in_all)} in all"
