# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a look at a host as the lines of a screen. The functions are pure: a look goes in, lines come out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .. import tables
from ..entries import addresses
from ..errors import printable
from ..kernel import schema
from ..report.listening import Missed
from ..report.rates import MINUTE, Times
from ..report.sampling import FilterNow, ListNow, Look, Source
from ..report.talkers import Talker
from ..tables import LEFT, RIGHT
from .screen import BOLD, DIM, GREEN, RED, YELLOW, Piece

Line = Sequence[Piece]

SORTS = ("rate", "total", "address")
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*%#"
_LEAST_TABLES = 4  #: lines that entries and sources get if they have as many, however many filters there are
_HEADINGS = f"  {'':<11}{'packets/s':>13}{'average':>10}{'p99':>9}  the last minute"
_VERDICT = {"passed": GREEN, "dropped": RED, "would drop": YELLOW}
_KEYS = "q quit  p pause  s sort  t timing  e events  up, down scroll  ? help"
_HELP = (
    "q, Ctrl-C     end; what was switched on is put back",
    "p             pause, and go on",
    "s             sort entries and sources by rate, total, address",
    "t             measure processing times while top runs, or stop",
    "e             have filters report all ICMP, to show its busiest sources, or stop",
    "j k, up down  scroll entries and sources; also page up, page down",
    "",
    "t and e compile programs, which takes about a second for each filter.",
)


class View(NamedTuple):
    """How the user wants to see it."""

    sort: str = SORTS[0]
    first: int = 0  #: the first row shown of entries and sources
    paused: bool = False
    helping: bool = False
    message: str = ""  #: in place of the line about keys


class Heard(NamedTuple):
    """What events have told. ``talkers`` is None if nobody listens."""

    talkers: list[Talker] | None = None
    missed: Missed = Missed(0, 0)  #: how many events they are short of
    notes: Sequence[str] = ()  #: what to do to see more


def lines(
    look: Look, heard: Heard, view: View, *, interval: float, columns: int, rows: int, blocks: bool, live: bool = True
) -> list[Line]:
    """Return at most ``rows`` lines. They may be wider than ``columns``, which only says how wide the histories can be."""
    head = _head(look, view, interval)
    last: list[Line] = [[(view.message, BOLD) if view.message else (_KEYS, DIM)]] if live else []
    if view.helping:
        return [head, [], *([(text, "")] for text in _HELP)][: rows - 1] + last
    room = max(0, rows - 1 - len(last))
    notes = _notes(look, heard, interval)
    found = _found(look, heard, view)
    least = min(_LEAST_TABLES, sum(map(len, found)))
    body = _filters(look.filters, columns=columns, room=room - len(notes) - least, blocks=blocks)
    tables_ = _tables(found, view, room=room - len(body) - len(notes))
    return [head, *(body + notes + tables_)[:room], *last][-rows:]


def _head(look: Look, view: View, interval: float) -> Line:
    told = [
        time.strftime("%H:%M:%S", time.localtime(look.wall_time)),
        f"every {interval:g} s",
        f"by {view.sort}",
        *(f"{name} {each.entries:,}" for name, each in look.lists.items() if each.capacity),
    ]
    return [("pingkiller top" + ("  paused" if view.paused else ""), BOLD), ("  " + "  ".join(told), "")]


# Filters


def _filters(filters: list[FilterNow], *, columns: int, room: int, blocks: bool) -> list[Line]:
    """Write the filters; without their reasons, or with one line for each, if there is no room for more."""
    if not filters:
        return [[("no filter on this host: waiting for one", "")]]
    for reasons in (True, False):
        each = (line for now in filters for line in _filter(now, columns, blocks=blocks, reasons=reasons))
        whole = [[(_HEADINGS, DIM)], *each]
        if len(whole) <= room:
            return whole
    return _short(filters)


def _filter(now: FilterNow, columns: int, *, blocks: bool, reasons: bool) -> list[Line]:
    rates = now.rates
    rows = [("passed", "passed"), ("dropped", "dropped")]
    if now.options.get("monitor") or any(rates.history["would_drop"]) or rates.per_second.get("would_drop"):
        rows.append(("would drop", "would_drop"))
    return [
        _title(now),
        *(_rate_line(now, label, sum_, columns, blocks=blocks) for label, sum_ in rows),
        *(_reasons(rates.per_second, columns) if reasons else ()),
    ]


def _title(now: FilterNow) -> Line:
    options = now.options
    told: list[Piece] = [(printable(now.name), BOLD)]
    told.append(("  not attached", RED) if now.mode == "none" else (f"  {now.mode}", ""))
    if options:
        told.append((f"  policy {options.get('policy')}", ""))
    if options.get("ratelimit_pps"):
        told.append((f"  limit {options['ratelimit_pps']:,} a second", ""))
    if options.get("monitor"):
        told.append(("  monitors only and drops nothing", BOLD))
    return told


def _rate_line(now: FilterNow, label: str, name: str, columns: int, *, blocks: bool) -> Line:
    rate, times = now.rates.per_second.get(name, 0.0), now.rates.times.get(name, Times(0, None, None))
    start = f"{per_second(rate):>13}{tables.time(times.average):>10}{tables.time(times.p99):>9}  "
    history = sparkline(now.rates.history[name], columns - len(_HEADINGS) + len("the last minute"), blocks=blocks)
    style = _VERDICT[label] if rate and label != "passed" else ""
    return [(f"  {label:<11}", style), (start, ""), (history, _VERDICT[label])]


def _reasons(rates: dict[str, float], columns: int) -> list[Line]:
    """Write the reasons of what is dropped, of what would be, and of what passes."""
    found = []
    for label, prefix, reasons in (
        ("dropped", "", schema.DROP_REASONS),
        ("would drop", "would_drop.", schema.DROP_REASONS),
        ("passed", "", schema.PASS_REASONS),
    ):
        told = [f"{reason} {per_second(rates[prefix + reason])}" for reason in reasons if rates.get(prefix + reason)]
        found += [f"{label} by {told[0]}", *told[1:]] if told else []
    return [[("  " + line, "")] for line in _wrapped(found, columns - 2)]


def _wrapped(words: list[str], columns: int) -> list[str]:
    """Put words on as few lines as they need, two spaces apart."""
    found: list[str] = []
    for word in words:
        if found and len(found[-1]) + 2 + len(word) <= columns:
            found[-1] += f"  {word}"
        else:
            found.append(word)
    return found


def _short(filters: list[FilterNow]) -> list[Line]:
    rows = [
        (
            printable(now.name),
            now.mode if now.mode != "none" else "not attached",
            *(per_second(now.rates.per_second.get(name, 0.0)) for name in ("passed", "dropped", "would_drop")),
            *(tables.time(now.rates.times[verdict].average) for verdict in schema.VERDICTS),
        )
        for now in filters
    ]
    columns = {"filter": LEFT, "mode": LEFT, "passed/s": RIGHT, "dropped/s": RIGHT, "would drop/s": RIGHT}
    return _table({**columns, "to pass": RIGHT, "to drop": RIGHT}, rows)


def sparkline(history: Sequence[float], columns: int, *, blocks: bool) -> str:
    """Draw the seconds of a minute, oldest first. Where there are fewer columns, one stands for the highest of several."""
    each = max(1, -(-MINUTE // max(1, columns)))
    padded = [0.0] * (-len(history) % each) + list(history)
    highest = [max(padded[start : start + each]) for start in range(0, len(padded), each)]
    marks, most = _BLOCKS if blocks else _ASCII, max(highest, default=0.0)
    # What is not zero is seen, however small it is beside the highest.
    return "".join(marks[-int(-value / most * (len(marks) - 1) // 1)] if value else marks[0] for value in highest)


def per_second(rate: float) -> str:
    """Write a rate: with a digit after the point if it is small."""
    return f"{rate:.1f}" if 0 < rate < 9.95 else f"{round(rate):,}"


# What is below the filters


def _notes(look: Look, heard: Heard, interval: float) -> list[Line]:
    """Say what is not seen and how to see it, and which numbers are older than the others."""
    found: list[Line] = [[]]
    unmeasured = [now.name for now in look.filters if now.mode != "none" and not now.options.get("timing_sample")]
    if unmeasured:
        found.append([(f"t (or --timing): measure processing times on {printable(', '.join(unmeasured))}", DIM)])
    lent = {option: None for now in look.filters for option in now.lent}
    if lent:
        found.append([(f"on for a while, until top ends: {', '.join(lent)}", DIM)])
    for name, each in look.lists.items():
        if each.every > interval:
            found.append([(f"the {name} is long: its entries are read every {each.every:.0f} s", DIM)])
    if any(heard.missed):
        suppressed, lost = heard.missed
        told = f"sources: {suppressed:,} events were above events_per_second, and {lost:,} were lost"
        found.append([(told, DIM)])
    return found + [[(note, DIM)] for note in heard.notes]


def _found(look: Look, heard: Heard, view: View) -> list[list[Line]]:
    """Write the tables that have rows, each with its heading."""
    every = (_talkers(heard, view), _entries(look.lists, view), _sources(look.sources, view))
    return [table for table in every if len(table) > 1]


def _tables(found: list[list[Line]], view: View, *, room: int) -> list[Line]:
    """Fit tables into so many lines. Short ones stay whole, and long ones share what is left; scrolling moves these.

    Where not each can have a heading and a row, the last ones are left out.
    """
    found = found[: max(0, room // 2)]
    heights: dict[int, int] = {}
    for done, place in enumerate(sorted(range(len(found)), key=lambda place: len(found[place]))):
        heights[place] = min(len(found[place]), (room - sum(heights.values())) // (len(found) - done))
    return [line for place, table in enumerate(found) for line in _scrolled(table, heights[place], view.first)]


def _scrolled(table: list[Line], height: int, first: int) -> list[Line]:
    heading, *rows = table
    start = min(first, len(table) - height)
    return [heading, *rows[start : start + height - 1]] if height > 1 else []


def _entries(lists: dict[str, ListNow], view: View) -> list[Line]:
    found = [(name, entry) for name, each in lists.items() for entry in each.busiest]
    keys = {
        "rate": lambda row: (-row[1].per_second, -row[1].packets),
        "total": lambda row: (-row[1].packets, -row[1].per_second),
        "address": lambda row: addresses.sort_key(row[1].key),
    }
    rows = [
        (
            addresses.display(entry.key),
            per_second(entry.per_second),
            tables.number(entry.packets),
            name,
            entry.direction,
            _left(entry.seconds_left),
            printable(", ".join(entry.owners)),
        )
        for name, entry in sorted(found, key=keys[view.sort])
    ]
    columns = {"entry": LEFT, "packets/s": RIGHT, "packets": RIGHT, "list": LEFT, "direction": LEFT, "left": RIGHT}
    return _table({**columns, "owners": LEFT}, rows)


def _sources(sources: list[Source], view: View) -> list[Line]:
    ordered = sorted(sources, key=lambda each: each.name) if view.sort == "address" else sources
    rows = [
        (
            each.name,
            "-" if each.seconds_left else f"{each.packets:,} of {each.limit:,}",
            f"blocked, {each.seconds_left:,} s left" if each.seconds_left else "",
            printable(each.filter),
        )
        for each in ordered
    ]
    return _table({"limited source": LEFT, "counted": RIGHT, "state": LEFT, "filter": LEFT}, rows)


def _talkers(heard: Heard, view: View) -> list[Line]:
    talkers = heard.talkers or []
    if view.sort == "address":
        talkers = sorted(talkers, key=lambda each: (len(each.address), each.address))
    rows = [
        (
            addresses.display(each.address),
            per_second(each.per_second),
            per_second(each.dropped_per_second),
            tables.number(each.packets),
        )
        for each in talkers
    ]
    return _table({"source": LEFT, "packets/s": RIGHT, "dropped/s": RIGHT, "packets": RIGHT}, rows)


def _table(columns: dict[str, str], rows: Iterable[Sequence[str]]) -> list[Line]:
    heading, *body = tables.table(columns, rows)
    return [[(heading, DIM)], *([(line, "")] for line in body)]


def _left(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds:,} s"
