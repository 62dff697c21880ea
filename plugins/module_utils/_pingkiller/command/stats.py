# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller stats``: what the filters passed and dropped and why, and the busiest entries."""

from __future__ import annotations

import argparse
import json

from ..kept.directory import Store
from ..kernel import schema
from . import host, output, parsers
from .entries import entry_line
from .exit_status import FINE
from .output import Found, amount

_PARTS = ("processing_time", "ratelimit", "events")
_MOST = 10  #: entries, and rate-limited sources


_DESCRIPTION = """\
Show what each filter passed and dropped and why, and the busiest entries of the lists. Numbers count from the moment when
the filter was attached, or the entry was put on the list.
"""
_ENDING = """\
In monitor mode nothing is dropped: what would have been is among what has passed, under "would have dropped".

examples:
  pingkiller stats
  pingkiller stats --json | jq .filters.eth0.counters.dropped.packets
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)


def _run(given: argparse.Namespace) -> int:
    seen = host.collect(Store(given.config), "counters", "ratelimit", "lists", list_limit=_MOST, top=_MOST)
    found = {
        "filters": {
            name: {part: each[part] for part in ("counters", *_PARTS)} for name, each in seen["filters"].items()
        },
        "top": {name: each["top"] for name, each in seen["lists"].items()},
    }
    output.write(given, found, _lines)
    return FINE


def _lines(found: Found) -> list[str]:
    lines = []
    for name, each in found["filters"].items():
        lines += [f"filter {name}", *_counter_lines(each["counters"])]
        lines += [f"    {part}: {json.dumps(each[part])}" for part in _PARTS if each[part]]
    for name, entries in found["top"].items():
        lines += [f"{name}, busiest first"] if entries else []
        lines += ["    " + entry_line(entry) for entry in entries]
    return lines or ["no filter"]


def _counter_lines(counters: Found) -> list[str]:
    """Write the sums, with their reasons below them. Packets that monitor mode would have dropped have passed."""
    reasons, would_drop = counters["reasons"], counters["would_drop"]
    dropped = {reason: reasons[reason] for reason in schema.DROP_REASONS}
    passed = {reason: reasons[reason] for reason in schema.PASS_REASONS}
    lines = [f"    passed: {amount(counters['passed'])}", *_reason_lines(passed)]
    if would_drop["packets"]:
        lines += [f"        would have dropped: {amount(would_drop)}"]
        lines += ["    " + line for line in _reason_lines(would_drop["reasons"])]
    return [*lines, f"    dropped: {amount(counters['dropped'])}", *_reason_lines(dropped)]


def _reason_lines(reasons: Found) -> list[str]:
    return [
        f"        {reason} {family}: {amount(cell)}"
        for reason, by_family in reasons.items()
        for family, cell in by_family.items()
        if cell["packets"]
    ]
