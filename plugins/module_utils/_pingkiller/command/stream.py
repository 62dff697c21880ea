# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller stream``: the command line. ``streaming`` runs it."""

from __future__ import annotations

import argparse

from . import list_parsers, parsers

_DESCRIPTION = """\
Read standard input to its end, and do line by line what it says. What arrives within a tenth of a second becomes one change,
so that thousands of lines cost no more than a few. Every line is answered by one line, in order.
"""
_ENDING = """\
lines of the format lines:
  add IP [direction=src|dst|both] [ttl=DURATION] [comment="TEXT"]
  del IP
  IP [...]                 as add, so a list file can be read as well
  Empty lines, and what follows # or ; as in a list file, are remarks.

lines of the format crowdsec:
  a decision a line, as JSON, as crowdsec-custom-bouncer writes it with feed_via_stdin: "action" says add or del, "value" is
  the address or network, "duration" how long, and "scenario" becomes the comment. Only decisions of the type ban count.

answers, on standard output after each change:
  changed                  the list has changed
  ok                       it was so already, or there was nothing to do
  error SENTENCE           the line was refused or could not be done; the next lines are read all the same
  With --json they are {"changed": true}, {"changed": false} and {"failed": true, "msg": "SENTENCE"}.

If an address is in several lines of one change, the last of them counts, and all are answered alike. Warnings are on standard
error. The end of the input, SIGTERM and Ctrl-C end it with the exit status 0, after the answers to what it has begun.

examples:
  pingkiller stream --owner feed < addresses.txt
  echo 'add 203.0.113.9 ttl=1h comment="scans"' | pingkiller stream --owner local
  pingkiller stream --owner crowdsec --format crowdsec
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parser.add_argument("--owner", metavar="NAME", required=True, help="whose entries these are")
    parser.add_argument("--format", choices=("lines", "crowdsec"), default="lines", help="of the lines (%(default)s)")
    parser.add_argument("--ttl", help="of lines without a ttl: 90s, 10m, 1h, 2d, 1w (for good)")
    list_parsers.add_direction(parser, "of lines without a direction (src)")
    list_parsers.add_entry_options(parser)
    parser.add_argument("--quiet", action="store_true", help="answer only what was refused")
    list_parsers.add_list(parser)
    parsers.add_config(parser)
    parsers.add_lock_timeout(parser)


def _run(given: argparse.Namespace) -> int:
    from . import streaming  # imports what changes a list, which the help does not need

    return streaming.run(given)
