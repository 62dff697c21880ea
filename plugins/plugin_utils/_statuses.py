# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a fleet as the module xdp_status_info sees them, worst first, and their busiest sources added up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import (
    MISSING,
    NONSENSE,
    Counts,
    Details,
    Explained,
    Fill,
    Filter,
    Source,
    Status,
    sentence,
    status,
)
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable

UNREACHABLE, FAILED, UNFILTERED, DRIFTED, MONITORING, FINE, UNWANTED = STATES = (
    "unreachable",
    "failed",  # the module could not look, or what the host answers makes no sense
    "unfiltered",  # a filter that the inventory wants is missing
    "drifted",  # a deploy would change something
    "monitoring",  # a filter only counts what it would drop
    "fine",
    "unwanted",  # the inventory wants no filter, and there is none
)
LACKING = (UNREACHABLE, FAILED, UNFILTERED, DRIFTED)  #: the states of a host that lacks what it should have

_HOST = 255  #: characters; DNS knows no longer name
_NOT_BELIEVED = "what it answers is not what the module says: find out what runs in place of the module there"
_NOTHING = Counts(0.0, 0, 0, 0, {})
#: What Ansible says before the cause. The state of the host says as much, and the row has little room.
_BEFORE_THE_CAUSE = re.compile(
    r"(Task failed: |Finalization of task args for '[^']*' failed: |Error while resolving value for '[^']*': "
    r"|The lookup plugin '[^']*' failed: |Failed to connect to the host via ssh: "
    r'|Data could not be sent to remote host "[^"]*"[.] Make sure this host can be reached over ssh: )*'
)


class HostStatus(NamedTuple):
    """What is known of a host. All texts are safe to show. A host that gave no answer has empty fields after ``message``."""

    host: str
    state: str  #: one of STATES
    message: str  #: why the host gave no answer, else empty
    version: str = ""
    kernel: str = ""
    wanted: bool = True  #: whether the inventory wants filters there
    filters: tuple[Filter, ...] = ()
    filters_left_out: int = 0
    drift: tuple[str, ...] = ()  #: sentences without a dot at the end
    drift_left_out: int = 0
    lists: Mapping[str, Fill] = {}
    counts: Counts = _NOTHING
    recent: Counts = _NOTHING
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    address: Explained | None = None
    details: Details | None = None

    @property
    def answered(self) -> bool:
        """Whether anything is known of the host."""
        return self.state not in (UNREACHABLE, FAILED)

    @property
    def lacks(self) -> bool:
        """Whether the host lacks what it should have."""
        return self.state in LACKING


class FleetSource(NamedTuple):
    """A source over all hosts that list it among their busiest."""

    ip: str
    packets: int
    recent: int
    hosts: int
    reasons: tuple[str, ...]
    owners: tuple[str, ...]


def answers(task_vars: Mapping[str, Any]) -> dict[str, object]:
    """Return what the hosts of a play answered, given the variables of one of its tasks."""
    variables = task_vars["hostvars"]
    return {host: variables[host].get("_pingkiller_seen") for host in task_vars["ansible_play_hosts_all"]}


def read(answers: Mapping[str, object]) -> list[HostStatus]:
    """Return the hosts, worst first: by state, then by what they drop now and in all, then by name.

    ``answers`` are the registered results of the module by host. An answer that the module cannot have given makes its host
    a failed one, whose message says so.
    """
    return sorted((_host(printable(host, _HOST), answer) for host, answer in answers.items()), key=_order)


def busiest(statuses: Iterable[HostStatus], limit: int) -> list[FleetSource]:
    """Add up the sources over hosts, and return the ``limit`` busiest: by recent packets, then by all packets."""
    found: dict[str, list[tuple[str, Source]]] = {}
    for each in statuses:
        for source in each.sources:
            found.setdefault(source.ip, []).append((each.host, source))
    sums = [_sum(ip, seen) for ip, seen in found.items()]
    return sorted(sums, key=lambda each: (-each.recent, -each.packets, -each.hosts, each.ip))[:limit]


def _host(host: str, answer: object) -> HostStatus:
    said = answer if isinstance(answer, Mapping) else {}
    if said.get("unreachable"):
        return HostStatus(host, UNREACHABLE, _cause(said.get("msg")) or "it does not answer")
    if said.get("status") is None:
        return HostStatus(host, FAILED, _cause(said.get("msg")) or "it said nothing")
    try:
        found = status(said["status"])
    except NONSENSE:
        return HostStatus(host, FAILED, _NOT_BELIEVED)
    return HostStatus(host, _state(found), "", *found)


def _cause(message: object) -> str:
    return sentence(_BEFORE_THE_CAUSE.sub("", " ".join(str(message or "").split()), count=1))


def _state(found: Status) -> str:
    if _is_unfiltered(found):
        return UNFILTERED
    if found.drift or found.drift_left_out:
        return DRIFTED
    if any(each.monitor for each in found.filters):
        return MONITORING
    return FINE if found.wanted else UNWANTED


def _is_unfiltered(found: Status) -> bool:
    missing = any(each.wanted and each.mode == MISSING for each in found.filters)
    return missing or (found.wanted and not found.filters)


def _order(each: HostStatus) -> tuple[int, int, int, str]:
    dropped, recent = (counts.dropped + counts.would_drop for counts in (each.counts, each.recent))
    return STATES.index(each.state), -recent, -dropped, each.host


def _sum(ip: str, seen: list[tuple[str, Source]]) -> FleetSource:
    sources = [source for _host, source in seen]
    return FleetSource(
        ip=ip,
        packets=sum(each.packets for each in sources),
        recent=sum(each.recent for each in sources),
        hosts=len({host for host, _source in seen}),
        reasons=tuple(sorted({each.reason for each in sources})),
        owners=tuple(sorted({owner for each in sources for owner in each.owners})),
    )
