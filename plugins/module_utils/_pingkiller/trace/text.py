# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look has found, as lines to read. Pure: a result goes in, as ``run`` gives it, and text comes out."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import printable, shortened
from ..tables import LEFT, RIGHT, number, table, time

_WORD = 60  #: characters shown of what a host calls something
_BAR = 40  #: columns
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NOTHING = (None, {}, "", {"calls": None, "bytes": None})  #: to show in a table; the last of calls without a length
_EVENTS = ("clone", "fork", "vfork", "clone3", "exec", "exit")
_FEWER = "look at fewer processes, by pid, user, comm or unit"
_STOPPED = {
    "limit": "as many events as are kept had come",
    "max_overhead": "the programs took more of the processors than they may",
}


def lines(result: dict, rows: int | None = None, blocks: bool = True) -> list[str]:
    """All of a result, with as many rows of its longest table as are wanted. ``blocks``: bars are drawn with more than ASCII."""
    draw = _processes if result["probe"] == "processes" else _calls
    body = draw(result, rows, blocks)
    return [head(result), *notes(result), *(["", *body] if body else [])]


def head(result: dict) -> str:
    """What was looked at for how long, and how much of it there was."""
    seconds = result["seconds"]
    if result["probe"] == "processes":
        counted = ", ".join(f"{number(count)} {printable(event)}" for event, count in result["total"].items() if count)
        return f"processes, {seconds:.1f} s: {counted or 'nothing'}"
    rate = f", {number(round(result['calls'] / seconds))} a second" if seconds else ""
    name = f" {word(result['name'])}" if result["probe"] == "syscall" else ""
    size = f", {number(result['bytes'])} bytes" if result.get("bytes") else ""
    failed = f", {number(result['errors'])} failed" if result["errors"] else ""
    return f"{result['probe']}{name}, {seconds:.1f} s: {number(result['calls'])} calls{rate}{size}{failed}"


def notes(result: dict) -> list[str]:
    """What else has to be known to read the numbers right."""
    lost, unfinished, outside = (result[name] for name in ("lost", "unfinished", "outside"))
    said = [
        _stopped(result),
        f"lost: {number(lost)}, for which a table or a buffer had no room: {_FEWER}" if lost else "",
        f"not returned yet: {number(unfinished)}" if unfinished else "",
        f"of processes outside this container: {number(outside)}" if outside else "",
        _cost(result["cost"]),
    ]
    return [note for note in said if note]


def _stopped(result: dict) -> str:
    why = _STOPPED.get(result["stopped"])
    return f"ended early, after {result['seconds']:.1f} s: {why}" if why else ""


def _cost(cost: dict | None) -> str:
    if cost is None:
        return ""
    each = f", {round(cost['ns'] / cost['runs'])} ns each" if cost["runs"] else ""
    return f"cost: {cost['percent']:.2f} % of all processors ({number(cost['runs'])} runs of the programs{each})"


# Tables


def word(value: object) -> str:
    """What a host calls something: of any length, and with anything in it."""
    return "" if value is None else printable(shortened(str(value), _WORD))


def _errors(counts: dict) -> str:
    most_first = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{word(name)} {number(count)}" for name, count in most_first)


def _calls_of(part: dict) -> str:
    return number(part.get("calls"))


#: Of each key of a row: what a table calls it, on which side it is, and how it is shown; in the order of the columns.
_COLUMNS = {
    "host": ("HOST", LEFT, word),
    "time": ("TIME", LEFT, word),
    "event": ("EVENT", LEFT, word),
    "pid": ("PID", RIGHT, word),
    "user": ("USER", LEFT, word),
    "comm": ("COMMAND", LEFT, word),
    "syscall": ("CALL", LEFT, word),
    "fd": ("FD", RIGHT, word),
    "calls": ("CALLS", RIGHT, number),
    "bytes": ("BYTES", RIGHT, number),
    "small": ("SMALL", RIGHT, _calls_of),
    "slow": ("SLOW", RIGHT, _calls_of),
    "total_ns": ("TOTAL", RIGHT, time),
    "p50_ns": ("P50", RIGHT, time),
    "p99_ns": ("P99", RIGHT, time),
    "max_ns": ("MAX", RIGHT, time),
    **{event: (event.upper(), RIGHT, number) for event in _EVENTS},
    "target": ("TARGET", LEFT, word),
    "errors": ("ERRORS", LEFT, _errors),
    "details": ("", LEFT, word),
}


def rows_table(rows: Sequence[dict]) -> list[str]:
    """Rows of any probe, with a column for each key of which a row has something to show."""
    keys = [key for key in _COLUMNS if any(_is_something(key, row.get(key)) for row in rows)]
    columns = {_COLUMNS[key][0]: _COLUMNS[key][1] for key in keys}
    return table(columns, [[_cell(key, row.get(key)) for key in keys] for row in rows]) if rows else []


def _is_something(key: str, value: object) -> bool:
    return bool(value) if key in _EVENTS else value not in _NOTHING


def _cell(key: str, value: object) -> str:
    return "" if value is None else _COLUMNS[key][2](value)


def _calls(result: dict, rows: int | None, blocks: bool) -> list[str]:
    shown = result["rows"][:rows]
    more = result["rows_total"] - len(shown)
    return [
        *rows_table(shown),
        *([f"and {number(more)} rows more"] if more > 0 else []),
        *histogram(result.get("histogram", ()), blocks),
    ]


def histogram(buckets: Sequence[dict], blocks: bool) -> list[str]:
    """How many calls took how long, of all rows together, also those that are not shown."""
    if not buckets:
        return []
    most = max(each["calls"] for each in buckets)
    cells = [
        [f"{time(each['from_ns'])} to {time(each['to_ns'])}", number(each["calls"]), _bar(each["calls"] / most, blocks)]
        for each in buckets
    ]
    return ["", *table({"TIME OF A CALL": RIGHT, "CALLS": RIGHT, "": LEFT}, cells)]


def _bar(share: float, blocks: bool) -> str:
    """Of what is there at all, something is to be seen."""
    eighths = max(1, round(share * _BAR * 8))
    if not blocks:
        return "#" * max(1, round(eighths / 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _processes(result: dict, rows: int | None, _blocks: bool) -> list[str]:
    """Who did how much of it, and what happened. Where there is no room for all of it, the last events."""
    counted = rows_table(result["counts"][: None if rows is None else rows // 2])
    events = result["events"] if rows is None else result["events"][-rows:][max(0, len(counted) - 1) :]
    return [*counted, *(["", *rows_table([{**each, "details": _details(each)} for each in events])] if events else [])]


def _details(event: dict) -> str:
    if event["event"] == "exec":
        return event["path"] or ""
    if event["event"] == "exit":
        status = "unknown" if event["status"] is None else event["status"]
        ended = f"by {event['signal']}" if event["signal"] else f"status {status}"
        return ended + (f" after {time(event['lifetime_ns'])}" if event["lifetime_ns"] is not None else "")
    return f"{'thread' if event['thread'] else 'child'} of {event['parent']}"
