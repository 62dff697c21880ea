# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller top``: a live screen of what the filters do. ``top_run`` shows it."""

from __future__ import annotations

import argparse

from . import parsers

_TIMING_SAMPLE = 10  #: one frame in so many: a clock costs more than the filter, and few frames tell little
_DESCRIPTION = """\
Show what the filters do now, as a live screen: packets per second that each filter passes, drops and would drop, and
why; how long it takes for them; the listed entries that match the most packets, and the sources that the rate limit
counts. Rates are those since the picture before. Processing times are those of the last ten seconds.

In a terminal, keys sort, scroll and pause it; ? lists them. Elsewhere one picture is written as text, with the rates of
one interval. It ends with q, Ctrl-C or a signal, or when nobody reads its output any more.

Processing times are measured only if the filter has the option timing_sample. Key t, or --timing, switches it on while
top runs. This compiles the filter's program and puts it in the place of the running one in one step; counts go on. At
the end it is put back. If top is killed (SIGKILL), the next top puts it back when it ends; what is restored at boot never
changes. Key e, or --events, does the same with events=all_icmp, which --sources needs.
"""
_ENDING = """\
columns:
  packets/s        passed includes what monitor mode would have dropped
  average          of the processing time, of a sample of frames
  p99              99 of 100 frames took no longer
  the last minute  the rate in this time; a high block is the highest rate in it
  counted          packets of a source in the second that the rate limit is counting; none while the source is blocked

A long list is read less often, so that reading it takes 5 % of one processor at most: the screen then says how often.

JSON, an object on a line:
  time              end of the interval, in UTC
  filters           by name: mode (none: not attached); the options policy, monitor, timing_sample, events; lent (options
                    that are on until top ends, with the values that are put back); seconds (that the rates are about);
                    per_second (passed, which includes would_drop, dropped, would_drop, each reason, would_drop.REASON);
                    processing_time of passed and dropped (samples, average, p99; in ns, null without samples)
  lists             by name: count, capacity, read_every (seconds at least), and the busiest entries: ip, owners, direction,
                    expires_in (seconds), per_second, packets (ever)
  limited_sources   filter, ip, packets in this second, limit, seconds_left (blocked so long; 0: not blocked)
  sources           ip, per_second, dropped_per_second, packets (since top began); null if nobody listens
  suppressed, lost  events that sources is short of, since top began
  notes             what to switch on to see more sources

exit status:
  0   ended by a key, a signal or --count, or there is no filter
  1   something could not be read, switched on or put back

examples:
  pingkiller top                                the live screen
  pingkiller top --timing --interval 5          also measure processing times; a picture every five seconds
  pingkiller top --sources --events             also the busiest sources of all ICMP, listed or not
  pingkiller top --count 1                      one picture; also puts back what a top that was killed had switched on
  pingkiller top --json --count 60 >minute.jsonl   a minute of numbers, a JSON object a line
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)
    parsers.add_lock_timeout(parser)
    add = parser.add_argument
    add("--interval", type=_interval, default=1.0, metavar="SECONDS", help="time between two pictures (1)")
    add(
        "--count",
        type=parsers.number,
        metavar="N",
        help="end after N pictures (1 if output is no terminal; with --json no end)",
    )
    add(
        "--top",
        type=parsers.number,
        default=10,
        metavar="N",
        help="entries and sources shown outside of a live screen (10)",
    )
    add("--sort", choices=("rate", "total", "address"), default="rate", help="order of entries and sources (rate)")
    add("--sources", action="store_true", help="listen to events, and show the busiest sources of all ICMP")
    add(
        "--timing",
        type=parsers.number,
        nargs="?",
        const=_TIMING_SAMPLE,
        metavar="N",
        help=f"measure one frame in N ({_TIMING_SAMPLE}) on filters that measure none, while top runs",
    )
    add("--events", action="store_true", help="have filters report all ICMP while top runs")
    parser.set_defaults(timing_sample=_TIMING_SAMPLE)


def _interval(text: str) -> float:
    return parsers.seconds(text, 0.1, 3600)


def _run(given: argparse.Namespace) -> int:
    from . import top_run  # imports what only a screen needs

    return top_run.run(given)
