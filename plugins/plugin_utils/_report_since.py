# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report leaves behind for the next one, and what has changed since.

The record is an object of JSON: FORMAT with the number of the format, ``made`` (UTC, ISO 8601), and ``hosts`` by name, each with
``state``, ``dropped`` (packets in all), ``drift`` (sentences), ``all_drift`` (whether there was no other) and ``sources``
(addresses). All but the state of a host that did not answer is what it answered last; null and nothing if it never did.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any, NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import quoted_path
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.drift import REFUSED
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._host_status import NONSENSE
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._report_sums import Group, grouped
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import printable
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import STATES, HostStatus

FORMAT, VERSION = "pingkiller_report", 1
#: Every record begins so. Another file of this name is of somebody else, and stays.
_BEGINNING = f'{{"{FORMAT}": '.encode()
_LARGEST = 1 << 24  #: bytes; a record of 10,000 hosts has about a quarter of it
_MOST_GROUPS = 20  #: of one kind
_LONGEST = 300  #: characters of a text


class Past(NamedTuple):
    """What the last report knew of a host: its state, and what it had answered last."""

    state: str
    dropped: int | None  #: packets; None if it never answered
    drift: tuple[str, ...]
    all_drift: bool  #: whether there was no other drift
    sources: tuple[str, ...]


_NOTHING = Past("", None, (), True, ())


class Record(NamedTuple):
    """What the last report knew of the fleet."""

    made: str
    hosts: dict[str, Past]


class Since(NamedTuple):
    """What has changed since the last report."""

    made: str  #: when that was
    changes: list[Group]
    left_out: int  #: changes for which there was no room
    dropped: int  #: packets since then, or since it last answered, by each host of both reports
    sources: frozenset[str]  #: those that no host had among its busiest then, or when it last answered


def record(statuses: list[HostStatus], made: str, before: Record | None) -> str:
    """Return the record as text. ``before`` is the last one: what hosts answered then is kept while they do not answer."""
    past = before.hosts if before else {}
    hosts = {each.host: _known(each, past.get(each.host))._asdict() for each in statuses}
    return json.dumps({FORMAT: VERSION, "made": made, "hosts": hosts}) + "\n"


def _known(each: HostStatus, past: Past | None) -> Past:
    if each.answered:
        return Past(each.state, each.counts.dropped, each.drift, _is_all(each), _sources(each))
    return (past or _NOTHING)._replace(state=each.state)


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
    return None, f"Nothing was compared with the last report, because {quoted_path(path)} {why}."


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
    sources = {ip for each in statuses for ip in _sources(each)}
    found = [sorted(kind.items(), key=lambda item: (-len(item[1]), item[0])) for kind in kinds]
    return Since(
        made=before.made,
        changes=[grouped(kind, words, hosts) for kind_of in found for (kind, words), hosts in kind_of[:_MOST_GROUPS]],
        left_out=sum(len(kind_of[_MOST_GROUPS:]) for kind_of in found),
        dropped=sum(_dropped(each, before.hosts.get(each.host)) for each in statuses),
        sources=frozenset(sources.difference(*(past.sources for past in before.hosts.values()))),
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
        if not past or past.dropped is None or not each.answered:
            continue
        if past.all_drift:
            for sentence in each.drift:
                if sentence not in past.drift:
                    found.setdefault(("drift", sentence), []).append(each.host)
        if _is_all(each):
            for sentence in past.drift:
                if sentence not in each.drift:
                    found.setdefault(("mended", sentence), []).append(each.host)
    return found


def _is_all(each: HostStatus) -> bool:
    """Return whether a host has no other drift than it tells. What a deploy would refuse may hide some."""
    return not each.drift_left_out and not any(sentence.startswith(REFUSED) for sentence in each.drift)


def _dropped(each: HostStatus, past: Past | None) -> int:
    """Return the packets since. Counters that are less than before began again, at 0."""
    if not past or past.dropped is None or not each.answered:
        return 0
    return each.counts.dropped - past.dropped if each.counts.dropped >= past.dropped else each.counts.dropped


def _sources(each: HostStatus) -> tuple[str, ...]:
    return tuple(source.ip for source in each.sources)


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
    )


def _past(given: Any) -> Past:
    dropped, all_drift = given["dropped"], given["all_drift"]
    if not isinstance(all_drift, bool):
        raise ValueError
    if dropped is not None and (isinstance(dropped, bool) or not isinstance(dropped, int) or dropped < 0):
        raise ValueError
    return Past(
        state=STATES[STATES.index(given["state"])],
        dropped=dropped,
        drift=tuple(map(_text, given["drift"])),
        all_drift=all_drift,
        sources=tuple(map(_text, given["sources"])),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 2 * _LONGEST:
        raise ValueError
    return printable(value, 2 * _LONGEST)
