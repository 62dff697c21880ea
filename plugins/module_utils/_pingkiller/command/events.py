# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller events``: the packets that the filters report."""

from __future__ import annotations

import argparse
import math

from ..errors import PingKillerError, quoted
from ..kernel import schema
from . import output, parsers
from .exit_status import FINE
from .output import Found

_DESCRIPTION = """\
Show the packets that the filters report: those whose option events is dropped, all_icmp or trace. Filters report only while
somebody listens, and each only so many in a second (events_per_second). Several may listen at once, also with the module
xdp_events, and each gets all of it.

Without --follow, listen for a while and show the events at the end, oldest first. With --follow, write each on a line within
a fifth of a second, and once a second, if it has changed, a line that says how many events were suppressed because there
were more than that, and how many were lost because they were not read in time, since this began.

--follow ends with Ctrl-C or SIGTERM, when nobody reads its output any more, and when its standard input ends: ssh leaves no
follower behind. A file, a terminal or /dev/null as standard input does not end it, nor does one that ends within the first
second, so that it runs in units, in cron and with ssh -n.
"""
_ENDING = """\
JSON, one object on a line with --follow:
  {"time": .., "interface": .., "verdict": .., "reason": .., "src": .., "dst": .., ..}    as the module xdp_events
  {"time": .., "interface": .., "verdict": .., "reason": .., "src": .., "count": 3, "bytes": 294}    with --aggregate
  {"suppressed": 12, "lost": 0}

exit status:
  0    also when --follow is ended by SIGTERM or by its input or output
  130  ended by Ctrl-C

examples:
  pingkiller events                                      what is dropped right now?
  pingkiller events --follow --reason blocklist          as it comes
  pingkiller events --follow --json --aggregate 1        for programs: a line for each source in a second
  ssh root@host pingkiller events --follow --json        from elsewhere
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)
    parser.add_argument("--follow", action="store_true", help="write events as they come, until it is ended")
    parser.add_argument(
        "--duration", type=_seconds, metavar="SECONDS", help="end after this time (5; with --follow never)"
    )
    parser.add_argument("--limit", type=_number, metavar="N", help="end after N events (1000; with --follow never)")
    parser.add_argument("--interface", metavar="NAME", help="only events of this interface")
    parser.add_argument("--reason", choices=schema.REASONS, help="only events with this reason")
    parser.add_argument(
        "--aggregate",
        type=_seconds,
        metavar="SECONDS",
        help="with --follow: every so many seconds, one line for each source, interface, verdict and reason, with the number of "
        "events; a flood from a few sources makes a few lines",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not a number of seconds: give one above 0")
    return seconds


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not a number of events: give 1 or more")
    return int(text)


def _run(given: argparse.Namespace) -> int:
    from . import following

    if given.follow:
        return following.follow(given)
    if given.aggregate:
        raise PingKillerError("--aggregate is for --follow: leave it out, or add --follow")
    output.write(given, following.listen(given), _lines)
    return FINE


def _lines(found: Found) -> list[str]:
    from .event_text import event_line, missed_line

    lines = [event_line(event) for event in found["events"]]
    if found["suppressed"] or found["lost"]:
        lines.append(missed_line(found))
    return lines or ["no events"]
