# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller list``: the entries of the lists."""

from __future__ import annotations

import argparse

from ..entries import comments
from ..kept.directory import Store
from ..kernel import schema
from . import host, output, parsers
from .exit_status import FINE
from .output import Found, amount

_ALL = 1 << 62  #: more entries than any list holds


_DESCRIPTION = """\
Show the entries of the lists, one on each line, in the format of a list file: src and content of the modules can read the
lines back, with their comments. A remark behind each has its owners, and what matched it so far.
"""
_ENDING = """\
examples:
  pingkiller list                         both lists
  pingkiller list blocklist --limit 20    at most 20 entries
  pingkiller list --json | jq -r '.blocklist.entries[].ip'
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING)
    parsers.add_config(parser)
    parser.add_argument("list", nargs="?", choices=schema.LISTS, help="the list to show (both if not given)")
    parser.add_argument("--limit", type=_limit, default=_ALL, metavar="N", help="show at most N entries of each list")


def _limit(text: str) -> int:
    return parsers.number(text, 0)


def _run(given: argparse.Namespace) -> int:
    lists = [given.list] if given.list else schema.LISTS
    seen = host.collect(Store(given.config), "lists", lists=lists, list_limit=given.limit, top=0)
    found = {name: {**each, "top": None} for name, each in seen["lists"].items()}
    output.write(given, found, _lines)
    return FINE


def _lines(found: Found) -> list[str]:
    lines = []
    for name, each in found.items():
        lines.append(f"# {name}: {each['count']} of {each['capacity']} entries")
        lines += [entry_line(entry) for entry in each["entries"]]
    return lines


def entry_line(entry: Found) -> str:
    """Write an entry as a line of a list file. What such a file does not say stands behind the #."""
    ttl = f" ttl={entry['expires_in']}" if entry["expires_in"] is not None else ""
    seen = f", last seen {entry['last_seen']}" if entry["last_seen"] else ""
    owners = ", ".join(entry["owners"])
    comment = comments.option(entry.get("comment", ""))
    return f"{entry['ip']} direction={entry['direction']}{ttl}{comment}  # {owners}; {amount(entry)}{seen}"
