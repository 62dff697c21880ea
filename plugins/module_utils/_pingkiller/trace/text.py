# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the result of a trace as lines of text. The functions are pure: a result of ``run`` goes in, text comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import printable, shortened
from ..tables import LEFT, RIGHT, number, table, time

#: A result, or a part of one, as JSON has it.
Result = Mapping[str, Any]

_WORD = 60  #: characters that are shown of a name
_BAR = 40  #: columns
_EIGHTHS = " ▏▎▍▌▋▊▉"
#: Values that leave a cell of a table empty. The last one belongs to calls that have no length.
_NOTHING: tuple[object, ...] = (None, {}, "", {"calls": None, "bytes": None})
_EVENTS = ("clone", "fork", "vfork", "clone3", "exec", "exit")
_FEWER = "look at fewer processes, by pid, user, comm or unit"
_STOPPED = {
    "limit": "the limit of events was reached",
    "max_overhead": "the programs took more of the processors than max_overhead allows",
}


def lines(result: Result, *, rows: int | None = None, blocks: bool = True) -> list[str]:
    """Write a result, with at most ``rows`` rows of its longest table. Bars are block characters, or ASCII without ``blocks``."""
    body = _processes(result, rows) if result["probe"] == "processes" else _calls(result, rows, blocks=blocks)
    return [head(result), *notes(result), *(["", *body] if body else [])]


def head(result: Result) -> str:
    """Write the first line: what was traced, for how long, and how many events or calls there were."""
    seconds = result["seconds"]
    if result["probe"] == "processes":
        counted = ", ".join(f"{number(count)} {printable(event)}" for event, count in result["total"].items() if count)
        return f"processes, {seconds:.1f} s: {counted or 'nothing'}"
    rate = f", {number(round(result['calls'] / seconds))} a second" if seconds else ""
    name = f" {word(result['name'])}" if result["probe"] == "syscall" else ""
    size = f", {number(result['bytes'])} bytes" if result.get("bytes") else ""
    failed = f", {number(result['errors'])} failed" if result["errors"] else ""
    return f"{result['probe']}{name}, {seconds:.1f} s: {number(result['calls'])} calls{rate}{size}{failed}"


def notes(result: Result) -> list[str]:
    """Write what a reader has to know about the numbers: what is missing from them, and what the trace cost."""
    lost, unfinished, outside = (result[name] for name in ("lost", "unfinished", "outside"))
    found = [
        _stopped(result),
        f"lost: {number(lost)}, for which a table or a buffer had no room: {_FEWER}" if lost else "",
        f"not returned yet: {number(unfinished)}" if unfinished else "",
        f"of processes outside this container: {number(outside)}" if outside else "",
        _cost(result["cost"]),
    ]
    return [note for note in found if note]


def _stopped(result: Result) -> str:
    why = _STOPPED.get(result["stopped"])
    return f"ended early, after {result['seconds']:.1f} s: {why}" if why else ""


def _cost(cost: Result | None) -> str:
    if cost is None:
        return ""
    each = f", {round(cost['ns'] / cost['runs'])} ns each" if cost["runs"] else ""
    return f"cost: {cost['percent']:.2f} % of all processors ({number(cost['runs'])} runs of the programs{each})"


# Tables


def word(value: object) -> str:
    """Make a name from a host safe to show: it may have any length and any characters."""
    return "" if value is None else printable(shortened(str(value), _WORD))


def _errors(counts: Mapping[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{word(name)} {number(count)}" for name, count in most_first)


def _calls_of(part: Mapping[str, int | None]) -> str:
    return number(part.get("calls"))


class _Column(NamedTuple):
    """A column of a table of rows."""

    heading: str
    side: str  #: LEFT or RIGHT
    show: Callable[[Any], str]


#: The columns by their keys in a row, in the order in which they are shown.
_COLUMNS = {
    "host": _Column("HOST", LEFT, word),
    "time": _Column("TIME", LEFT, word),
    "event": _Column("EVENT", LEFT, word),
    "pid": _Column("PID", RIGHT, word),
    "user": _Column("USER", LEFT, word),
    "comm": _Column("COMMAND", LEFT, word),
    "syscall": _Column("CALL", LEFT, word),
    "fd": _Column("FD", RIGHT, word),
    "calls": _Column("CALLS", RIGHT, number),
    "bytes": _Column("BYTES", RIGHT, number),
    "small": _Column("SMALL", RIGHT, _calls_of),
    "slow": _Column("SLOW", RIGHT, _calls_of),
    "total_ns": _Column("TOTAL", RIGHT, time),
    "p50_ns": _Column("P50", RIGHT, time),
    "p99_ns": _Column("P99", RIGHT, time),
    "max_ns": _Column("MAX", RIGHT, time),
    **{event: _Column(event.upper(), RIGHT, number) for event in _EVENTS},
    "target": _Column("TARGET", LEFT, word),
    "errors": _Column("ERRORS", LEFT, _errors),
    "details": _Column("", LEFT, word),
}


def rows_table(rows: Sequence[Result]) -> list[str]:
    """Write rows of any probe as a table. A column is left out if it would be empty."""
    keys = [key for key in _COLUMNS if any(_is_shown(key, row.get(key)) for row in rows)]
    columns = {_COLUMNS[key].heading: _COLUMNS[key].side for key in keys}
    return table(columns, [[_cell(key, row.get(key)) for key in keys] for row in rows]) if rows else []


def _is_shown(key: str, value: object) -> bool:
    return bool(value) if key in _EVENTS else value not in _NOTHING


def _cell(key: str, value: object) -> str:
    return "" if value is None else _COLUMNS[key].show(value)


def _calls(result: Result, rows: int | None, *, blocks: bool) -> list[str]:
    shown = result["rows"][:rows]
    more = result["rows_total"] - len(shown)
    return [
        *rows_table(shown),
        *([f"and {number(more)} rows more"] if more > 0 else []),
        *_histogram(result.get("histogram", ()), blocks=blocks),
    ]


def _histogram(buckets: Sequence[Mapping[str, int]], *, blocks: bool) -> list[str]:
    """Write how many calls took how long. The buckets cover all rows, also those that are not shown."""
    if not buckets:
        return []
    most = max(each["calls"] for each in buckets)
    cells = [
        [
            f"{time(each['from_ns'])} to {time(each['to_ns'])}",
            number(each["calls"]),
            _bar(each["calls"] / most, blocks=blocks),
        ]
        for each in buckets
    ]
    return ["", *table({"TIME OF A CALL": RIGHT, "CALLS": RIGHT, "": LEFT}, cells)]


def _bar(share: float, *, blocks: bool) -> str:
    """Draw a bar, which is never empty."""
    eighths = max(1, round(share * _BAR * 8))
    if not blocks:
        return "#" * max(1, round(eighths / 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _processes(result: Result, rows: int | None) -> list[str]:
    """Write the counts by user and command, and the last events that there is room for."""
    counted = rows_table(result["counts"][: None if rows is None else rows // 2])
    events = result["events"] if rows is None else result["events"][-rows:][max(0, len(counted) - 1) :]
    return [*counted, *(["", *_events(events)] if events else [])]


def _events(events: Iterable[Result]) -> list[str]:
    return rows_table([{**each, "details": _details(each)} for each in events])


def _details(event: Result) -> str:
    if event["event"] == "exec":
        return event["path"] or ""
    if event["event"] == "exit":
        status = "unknown" if event["status"] is None else event["status"]
        ended = f"by {event['signal']}" if event["signal"] else f"status {status}"
        return ended + (f" after {time(event['lifetime_ns'])}" if event["lifetime_ns"] is not None else "")
    return f"{'thread' if event['thread'] else 'child'} of {event['parent']}"
