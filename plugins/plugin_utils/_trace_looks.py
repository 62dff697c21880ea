# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a host answered to a trace, without trusting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace_sums import (
    KEYS,
    PARTS,
    PERCENTS,
    SUMS,
    Row,
    merged,
)

PROBES = ("syscalls", "syscall", "processes")
_COST = ("runs", "ns", "percent")
_MOST = 1 << 64  #: more than a host can count


class Refused(Exception):
    """A host gave no result. The text says why, in words that can follow the name of the host."""


#: The exceptions that Python may raise for a value of the wrong kind.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Look(NamedTuple):
    """The result of one host. Its fields have the names that the module gives them."""

    probe: str
    name: str
    seconds: float
    calls: int
    stopped: str
    lost: int
    unfinished: int
    outside: int
    cost: dict[str, float] | None
    rows: list[Row]


def said(answer: object, name: str) -> object:
    """Return a value of an answer, or None."""
    return answer.get(name) if isinstance(answer, Mapping) else None


def look(answer: Any, probe: object) -> Look:
    """Check and return the result of a probe. Raises Refused, or one of NONSENSE if the module cannot have given it."""
    if said(answer, "probe") is None or said(answer, "seconds") is None:  # the module failed, or ran in check mode
        raise Refused(str(said(answer, "msg") or "it said nothing"))
    if answer["probe"] != probe or probe not in PROBES:
        raise ValueError(probe)
    rows = [_row(each) for each in answer["counts" if probe == "processes" else "rows"]]
    merged(rows)
    return Look(
        probe=_text(probe),
        name=_text(answer["name"]) if probe == "syscall" else "",
        seconds=_amount(answer["seconds"]),
        calls=_count(answer.get("calls", 0)),
        stopped=_text(answer["stopped"]),
        lost=_count(answer["lost"]),
        unfinished=_count(answer["unfinished"]),
        outside=_count(answer["outside"]),
        cost=None if answer["cost"] is None else {name: _amount(answer["cost"][name]) for name in _COST},
        rows=rows,
    )


def _row(row: Mapping[str, Any]) -> Row:
    return {name: _KINDS[name](value) for name, value in row.items() if name in _KINDS and value is not None}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value < _MOST:
        raise ValueError
    return value


def _count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    _amount(value)
    return value


def _counts(value: Mapping[str, Any]) -> dict[str, int]:
    return {_text(name): _count(count) for name, count in value.items() if count is not None}


def _histogram(value: list[Any]) -> list[dict[str, int]]:
    return [_counts(each) for each in value]


#: The check for each key of a row. Unknown keys are dropped.
_KINDS = {
    **dict.fromkeys((*KEYS, "target"), _text),
    **dict.fromkeys((*SUMS, "pid", "fd", "max_ns", *(f"p{percent}_ns" for percent in PERCENTS)), _count),
    **dict.fromkeys(PARTS, _counts),
    "histogram": _histogram,
}
