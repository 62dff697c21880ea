# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report leaves behind for the next one, and what has changed since.

The record is an object of JSON: FORMAT with the number of the format, ``made`` (UTC, ISO 8601), ``hosts`` by name, each with
``state``, ``dropped`` (packets in all) and ``drift`` (sentences), and ``sources`` (addresses). The last two of a host are null if
it did not answer.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import NONSENSE
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_sums import Group, grouped
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import FAILED, STATES, UNREACHABLE, HostStatus

FORMAT, VERSION = "pingkiller_report", 1
#: Every record begins so. Another file of this name is of somebody else, and stays.
_BEGINNING = f'{{"{FORMAT}": '.encode()
_LARGEST = 1 << 24  #: bytes; a record of 10,000 hosts has about a third of it
_MOST_GROUPS = 20  #: of one kind
_LONGEST = 300  #: characters of a text


class Past(NamedTuple):
    """What the last report knew of a host."""

    state: str
    dropped: int | None
    drift: tuple[str, ...] | None


class Record(NamedTuple):
    """What the last report knew of the fleet."""

    made: str
    hosts: dict[str, Past]
    sources: frozenset[str]


class Since(NamedTuple):
    """What has changed since the last report."""

    made: str  #: when that was
    changes: list[Group]
    left_out: int  #: changes for which there was no room
    dropped: int  #: packets since then, by the hosts of both reports
    sources: frozenset[str]  #: those that no host had among its busiest then


def record(statuses: list[HostStatus], made: str) -> str:
    """Return the record as text."""
    known: dict[str, Any] = {FORMAT: VERSION, "made": made, "hosts": {}}
    for each in statuses:
        answered = each.state not in (UNREACHABLE, FAILED)
        known["hosts"][each.host] = {
            "state": each.state,
            "dropped": each.counts.dropped if answered else None,
            "drift": each.drift if answered else None,
        }
    known["sources"] = _sources(statuses)
    return json.dumps(known) + "\n"


def read(path: str) -> tuple[Record | None, str]:
    """Return the record of the last report, or None and a sentence that says why it cannot be used. Empty if there is none."""
    try:
        return _record(json.loads(_content(path))), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except _Refused as error:
        why = str(error)
    except NONSENSE:
        why = "is not what a report has written"
    return None, f"Nothing was compared with the last report, because {printable(path, _LONGEST)} {why}."


def is_ours(path: str) -> bool:
    """Return whether a record may be written to the path: there is nothing, or what a report has written, even if it is broken."""
    try:
        with open(path, "rb", opener=_opener) as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(_BEGINNING)) in (_BEGINNING, b"")
    except FileNotFoundError:
        return True
    except OSError:
        return False


def compare(statuses: list[HostStatus], before: Record) -> Since:
    """Tell what has changed since the last report."""
    kinds = [_came_and_went(statuses, before), _states(statuses, before), _drift(statuses, before)]
    found = [sorted(kind.items(), key=lambda item: (-len(item[1]), item[0])) for kind in kinds]
    return Since(
        made=before.made,
        changes=[grouped(kind, words, hosts) for kind_of in found for (kind, words), hosts in kind_of[:_MOST_GROUPS]],
        left_out=sum(len(kind_of[_MOST_GROUPS:]) for kind_of in found),
        dropped=sum(_dropped(each, before.hosts.get(each.host)) for each in statuses),
        sources=frozenset(_sources(statuses)) - before.sources,
    )


#: Hosts by what kind of change it is (a state, ``came``, ``went``, ``drift`` or ``mended``), and its words.
_Changes = dict[tuple[str, str], list[str]]


def _came_and_went(statuses: list[HostStatus], before: Record) -> _Changes:
    now = {each.host for each in statuses}
    kinds = {
        ("came", "new in the report"): [each.host for each in statuses if each.host not in before.hosts],
        ("went", "no longer in the report"): [host for host in before.hosts if host not in now],
    }
    return {change: hosts for change, hosts in kinds.items() if hosts}


def _states(statuses: list[HostStatus], before: Record) -> _Changes:
    found: _Changes = {}
    for each in statuses:
        past = before.hosts.get(each.host)
        if past and past.state != each.state:
            found.setdefault((each.state, f"{past.state} before, now {each.state}"), []).append(each.host)
    return found


def _drift(statuses: list[HostStatus], before: Record) -> _Changes:
    found: _Changes = {}
    for each in statuses:
        past = before.hosts.get(each.host)
        if not past or past.drift is None or each.state in (UNREACHABLE, FAILED):
            continue
        for sentence in each.drift:
            if sentence not in past.drift:
                found.setdefault(("drift", sentence), []).append(each.host)
        for sentence in past.drift:
            if sentence not in each.drift:
                found.setdefault(("mended", sentence), []).append(each.host)
    return found


def _dropped(each: HostStatus, past: Past | None) -> int:
    """Return the packets since. Counters that are less than before began again, at 0."""
    if not past or past.dropped is None or each.state in (UNREACHABLE, FAILED):
        return 0
    return each.counts.dropped - past.dropped if each.counts.dropped >= past.dropped else each.counts.dropped


def _sources(statuses: Iterable[HostStatus]) -> list[str]:
    return sorted({source.ip for each in statuses for source in each.sources})


class _Refused(Exception):
    """The file is not the record of a report. The text says why, in words that can follow its path."""


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe of this name keeps nobody waiting


def _content(path: str) -> bytes:
    if not is_ours(path):
        raise _Refused("was not written by a report; it stays as it is, so move it away to compare the next time")
    with open(path, "rb", opener=_opener) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise _Refused(f"is larger than {_LARGEST} bytes")
    return content


def _record(given: Any) -> Record:
    if given[FORMAT] != VERSION:
        raise _Refused("was written by another version")
    return Record(
        made=_text(given["made"]),
        hosts={_text(host): _past(each) for host, each in given["hosts"].items()},
        sources=frozenset(_text(each) for each in given["sources"]),
    )


def _past(given: Any) -> Past:
    dropped, drift = given["dropped"], given["drift"]
    if dropped is not None and (isinstance(dropped, bool) or not isinstance(dropped, int) or dropped < 0):
        raise ValueError
    return Past(
        state=STATES[STATES.index(given["state"])],
        dropped=dropped,
        drift=None if drift is None else tuple(map(_text, drift)),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 2 * _LONGEST:
        raise ValueError
    return printable(value, 2 * _LONGEST)
