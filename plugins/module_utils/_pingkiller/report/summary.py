# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up the facts of a host in a few lines for people: does it filter, what did it drop and why, who sends most."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import PingKillerError
from ..kernel import schema
from ..tables import number
from . import facts
from .totals import LONGEST_WINDOW, Totals, totals

#: Lines for filters and for the busiest entries, so that ten lines are enough for all.
_FILTERS, _BUSIEST = 3, 3

Facts = dict[str, Any]


class Summary(NamedTuple):
    """The state of a host in a few lines."""

    lines: list[str]
    notes: list[str]  #: sentences about problems: see ``facts.collect``


def summarize(base: str, *, window: float | None = None) -> Summary:
    """Sum up the facts of a host. With ``window``, in seconds, wait so long and also tell what was dropped meanwhile.

    Raises PingKillerError, also without root.
    """
    if window is not None and not 0 < window <= LONGEST_WINDOW:
        raise PingKillerError(
            f"window={window:g} is out of range: give more than 0 and at most {LONGEST_WINDOW} seconds"
        )
    began, found = time.monotonic(), _facts(base)
    if window is None:
        return Summary(lines(found), found["notes"])
    before = _totals(found)
    time.sleep(window)
    found = _facts(base)
    recent = _totals(found).since(before)
    return Summary(lines(found, recent=recent, seconds=time.monotonic() - began), found["notes"])


def _facts(base: str) -> Facts:
    return facts.collect(base, gather=("filters", "counters", "lists"), list_limit=0, top=_BUSIEST)


def _totals(found: Facts) -> Totals:
    return totals(each["counters"] for each in found["filters"].values())


def lines(found: Facts, *, recent: Totals | None = None, seconds: float = 0) -> list[str]:
    """Return the lines, ten at most. ``recent`` is what was counted in the last ``seconds``."""
    if not found["filters"]:
        return ["no filter: nothing is filtered on this host"]
    said = [*_filter_lines(found["filters"]), _counted(_totals(found), "in all")]
    if recent is not None:
        said.append(_counted(recent, f"in the last {seconds:.1f} s, {recent.dropped / seconds:,.1f} a second"))
    return [*said, *_busiest(found["lists"][schema.BLOCKLIST]["top"]), _fill(found["lists"])]


def _filter_lines(filters: dict[str, Facts]) -> Iterator[str]:
    more = len(filters) - _FILTERS
    shown = _FILTERS - 1 if more > 0 else _FILTERS
    for name, each in list(filters.items())[:shown]:
        yield f"{name}: {_state(each['mode'], each['options'])}"
    if more > 0:
        off = sum(each["mode"] == "none" for each in list(filters.values())[shown:])
        yield f"and {more + 1} more filters" + (f", {off} of them not attached" if off else "")


def _state(mode: str, options: Facts) -> str:
    if mode == "none":
        return "not attached, filters nothing"
    limit = f", at most {options['ratelimit_pps']} packets a second" if options.get("ratelimit_pps") else ""
    monitors = ", monitors only and drops nothing" if options.get("monitor") else ""
    return f"on ({mode}), policy={options.get('policy', 'unknown')}{limit}{monitors}"


def _counted(counted: Totals, when: str) -> str:
    """Return a line. What only monitor mode passed is told where there is any."""
    would = counted.by_verdict["would_drop"]
    monitored = f"; would have dropped {number(would)}{_by_reason(counted.would_drop)}" if would else ""
    dropped = f"dropped {_packets_text(counted.dropped)} {when}{_by_reason(counted.reasons)}"
    return f"{dropped}; passed {number(counted.passed)} of any protocol{monitored}"


def _packets_text(packets: int) -> str:
    return f"{number(packets)} packet{'s' * (packets != 1)}"


def _by_reason(reasons: Counter[str]) -> str:
    told = [f"{reason} {number(packets)}" for reason, packets in reasons.most_common() if packets]
    return f" ({', '.join(told)})" if told else ""


def _busiest(top: list[Facts]) -> Iterator[str]:
    for entry in top[:_BUSIEST]:
        yield f"busiest: {entry['ip']}, {_packets_text(entry['packets'])} (owner {', '.join(entry['owners'])})"


def _fill(lists: dict[str, Facts]) -> str:
    return ", ".join(f"{name} {number(each['count'])} of {number(each['capacity'])}" for name, each in lists.items())
