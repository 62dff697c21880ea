# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller explain``: whether pings of an address pass here, and why."""

from __future__ import annotations

import argparse

from . import output, parsers
from .exit_status import FINE
from .output import Found

_DESCRIPTION = """\
Explain what the filters of this host do with the pings of an address, and why: the entry, the policy or the rate limit
that decides on each filter, every entry of the lists that covers the address, and what a boot restores of it. For a
network also the entries that lie inside it. Takes no lock and changes nothing.

A filter on what arrives decides about pings from the address, a filter on what leaves (tc_egress) about pings to it. The
other address of the ping is taken to be one that is on no list.
"""
_ENDING = """\
verdicts:
  passed       the filter passes the ping; what other programs do with it is not looked at
  dropped      the filter drops it
  would_drop   monitor=true: the filter passes it, and counts it as would_drop
  not known    the filter was attached by an interrupted run or by another version; the message says what to do

Packets and bytes are counted since the entry was put on the list. A boot puts it on a new one.

exit status: 0 whatever the verdict is, 1 for what is no address or cannot be read, 2 for a wrong command line

examples:
  pingkiller explain 203.0.113.9
  pingkiller explain 198.51.100.0/24 2001:db8::1
  pingkiller explain --json 203.0.113.9 | jq -r '.explained[].verdict'
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)
    parser.add_argument("address", nargs="+", metavar="ADDRESS", help="an IPv4 or IPv6 address or network")


def _run(given: argparse.Namespace) -> int:
    from ..kept.directory import Store
    from ..report import explain_json, explain_text
    from ..report.explain import explain
    from . import host

    store = Store(given.config)
    found = explain(host.base(store), store, given.address)

    def lines(_found: Found) -> list[str]:
        return [line for each in found for line in explain_text.lines(each)]

    output.write(given, {"explained": [explain_json.as_dict(each) for each in found]}, lines)
    return FINE
