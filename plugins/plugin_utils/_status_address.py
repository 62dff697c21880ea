# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fleet blocks an address, by whom and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import listed
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.verdicts import DROP, PASS, WOULD_DROP
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import number, wrapped
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import UNKNOWN
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_words import hosts
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import HostStatus

_SAID = {DROP: "dropped", WOULD_DROP: "only counted (monitor mode)", PASS: "passes", UNKNOWN: "not known"}
_MOST = 6  #: groups that are shown; hosts may name an interface of their own each
_INDENT = "    "


class Group(NamedTuple):
    """Hosts that tell the same about an address."""

    verdict: str
    reason: str
    hosts: list[str]


def groups(statuses: Iterable[HostStatus]) -> list[Group]:
    """Put hosts that tell the same together: those that drop first, then by number of hosts."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in statuses:
        told = each.address
        key = (told.verdict, told.reason) if told else (UNKNOWN, each.message or "it does not tell")
        found.setdefault(key, []).append(each.host)
    made = [Group(*key, hosts) for key, hosts in found.items()]
    return sorted(made, key=lambda group: (list(_SAID).index(group.verdict), -len(group.hosts), group.reason))


def lines(statuses: Sequence[HostStatus], address: str, columns: int, *, names: int) -> list[str]:
    """Write where an address is dropped, where it passes and where that is not known, with so many hosts of each group."""
    found = groups(statuses)
    counted = {verdict: sum(len(group.hosts) for group in found if group.verdict == verdict) for verdict in _SAID}
    head = ", ".join(f"{said} on {number(counted[verdict])}" for verdict, said in _SAID.items() if counted[verdict])
    shown = [f"{address}: {head} of {hosts(len(statuses))}"]
    shown += [_told(group, names) for group in found[:_MOST]]
    left_out = found[_MOST:]
    if left_out:
        reasons = "reason" if len(left_out) == 1 else "reasons"
        shown.append(f"and {len(left_out)} other {reasons} on {hosts(sum(len(group.hosts) for group in left_out))}")
    return [line for each in shown for line in wrapped(each, columns, _INDENT)]


def _told(group: Group, names: int) -> str:
    return f"{hosts(len(group.hosts))} ({listed(group.hosts, names)}): {group.reason}"
