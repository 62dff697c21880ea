# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a fleet have seen, together: sums over all of them, and one table. A host may say what it likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.histogram import percentile
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import number
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import text
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._answers import not_believed, printable, result

#: What means the same on each host. A process or a descriptor is one of its host alone.
_KEYS = ("user", "comm", "syscall")
_SUMS = ("calls", "bytes", "total_ns", "clone", "fork", "vfork", "clone3", "exec", "exit")
_PARTS = ("errors", "small", "slow")  #: mappings of sums
_PROBES = ("syscalls", "syscall", "processes")
_COST = ("runs", "ns", "percent")
_PERCENTS = (50, 90, 99)
_BUCKETS = 64
_LONGEST_SENTENCE = 300
_MOST = 1 << 64  #: of anything that a host counts
ALL = "all hosts"
#: What Python says of a value that is of another kind than it has to be here.
_NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def trace_result(answer: dict, host: str, check_mode: bool) -> dict:
    """What the module bpf_trace_info says, if it is what the module can say; else one sentence. All text in it can be shown."""
    answer = result(answer, host)
    if answer.get("failed") or check_mode:  # which only says what it would look at
        return answer
    try:
        _look(answer, _says(answer, "probe"))
    except (_Refused, *_NONSENSE):
        return not_believed(host, "no look counts what it says")
    return answer


def lines(answers: Mapping[str, object], top: int) -> list[str]:
    """One table of what each host answered (its result of the module bpf_trace_info), the sums over all hosts first.

    Of each, the first ``top`` rows; all of them if it is 0. A host that gave no result is named with the reason.
    """
    looks, faults = {}, {}
    probe = _probe(answers.values())
    for host, answer in sorted(answers.items()):
        try:
            looks[host] = _look(answer, probe)
        except _Refused as error:
            faults[host] = str(error)
        except _NONSENSE:
            faults[host] = "what it answers is not what the module says: find out what runs in the module's place there"
    said = [f"{text.word(host)}: {note}" for host, look in looks.items() for note in text.notes(look)]
    said += [f"{text.word(host)}: not looked at: {printable(why, _LONGEST_SENTENCE)}" for host, why in faults.items()]
    table = _table(looks, top or None)
    return [_head(looks, len(answers)), *(["", *table] if table else []), *(["", *said] if said else [])]


def _probe(answers: Iterable[object]) -> str:
    """That of most hosts, since all were asked for the same."""
    probes = (_says(answer, "probe") for answer in answers)  # which Ansible hands out only once
    said = Counter(probe for probe in probes if probe in _PROBES)
    return said.most_common(1)[0][0] if said else ""


def _says(answer: object, name: str) -> object:
    return answer.get(name) if isinstance(answer, Mapping) else None


class _Refused(Exception):
    """Why there is no result, in words that can follow the name of the host."""


def _look(answer: object, probe: str) -> dict:
    """What a host has seen, if that is what it says: with nothing in it that was not looked at. Raises one of _NONSENSE."""
    if _says(answer, "probe") is None or _says(answer, "seconds") is None:  # it failed, or would look
        raise _Refused(str(_says(answer, "msg") or "it said nothing"))
    if answer["probe"] != probe or probe not in _PROBES:
        raise ValueError(probe)
    rows = [_row(each) for each in answer["counts" if probe == "processes" else "rows"]]
    merged(rows)
    return {
        "probe": probe,
        "name": _text(answer["name"]) if probe == "syscall" else "",
        "seconds": _amount(answer["seconds"]),
        "calls": _count(answer.get("calls", 0)),
        "stopped": _text(answer["stopped"]),
        **{name: _count(answer[name]) for name in ("lost", "unfinished", "outside")},
        "cost": None if answer["cost"] is None else {name: _amount(answer["cost"][name]) for name in _COST},
        "rows": rows,
    }


def _row(row: Mapping) -> dict:
    return {name: _KINDS[name](value) for name, value in row.items() if name in _KINDS and value is not None}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _amount(value: object):
    if isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError
    return value


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return _amount(value)


def _counts(value: Mapping) -> dict[str, int]:
    return {_text(name): _count(count) for name, count in value.items() if count is not None}


def _histogram(value: list) -> list[dict]:
    return [_counts(each) for each in value]


_KINDS = {
    **dict.fromkeys((*_KEYS, "target"), _text),
    **dict.fromkeys((*_SUMS, "pid", "fd", "max_ns", *(f"p{percent}_ns" for percent in _PERCENTS)), _count),
    **dict.fromkeys(_PARTS, _counts),
    "histogram": _histogram,
}


def _head(looks: Mapping[str, dict], hosts: int) -> str:
    if not looks:
        return f"none of {hosts} hosts has been looked at"
    first = next(iter(looks.values()))
    about = f"{first['probe']} {text.word(first['name'])}".rstrip()
    seconds = max(look["seconds"] for look in looks.values())
    calls = sum(look["calls"] for look in looks.values())
    counted = "" if first["probe"] == "processes" else f": {number(calls)} calls"
    return f"{about} on {len(looks)} of {hosts} hosts, {seconds:.1f} s each{counted}"


def _table(looks: Mapping[str, dict], top: int | None) -> list[str]:
    whole = merged(row for look in looks.values() for row in look["rows"])
    rows = [{**row, "host": ALL} for row in whole[:top]]
    rows += [{**row, "host": host} for host, look in looks.items() for row in look["rows"][:top]]
    return text.rows_table(rows)


def merged(rows: Iterable[Mapping]) -> list[dict]:
    """Rows that mean the same, added up; those first that took most time, or else are most.

    Percentiles are those of the histograms together, as exact as these are. Raises what Python says of rows that are none.
    """
    found: dict[tuple, dict] = {}
    for row in rows:
        key = tuple((name, row[name]) for name in _KEYS if name in row)
        _add(found.setdefault(key, dict(key)), row)
    return sorted(map(_finished, found.values()), key=_weight, reverse=True)


def _add(into: dict, row: Mapping) -> None:
    for name in _SUMS:
        if row.get(name) is not None:
            into[name] = into.get(name, 0) + row[name]
    for name in _PARTS:
        if name in row:
            into.setdefault(name, Counter()).update(row[name])
    if "max_ns" in row:
        into["max_ns"] = max(into.get("max_ns", 0), row["max_ns"])
        buckets = into.setdefault("histogram", [0] * _BUCKETS)
        for bucket in row["histogram"]:
            buckets[max(0, bucket["from_ns"].bit_length() - 1)] += bucket["calls"]


def _finished(row: dict) -> dict:
    """With what follows from the sums."""
    buckets = row.pop("histogram", None)
    if buckets is None:
        return row
    times = {f"p{percent}_ns": min(percentile(buckets, percent), row["max_ns"]) for percent in _PERCENTS}
    return {**row, **times, "average_ns": round(row["total_ns"] / sum(buckets))}


def _weight(row: dict) -> tuple:
    return row.get("total_ns", 0), sum(row.get(name, 0) for name in _SUMS if name not in ("bytes", "total_ns"))
