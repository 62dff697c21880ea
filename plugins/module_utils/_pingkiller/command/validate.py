# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller validate``: whether a list file is one that the lists can take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..kernel import schema
from . import output, parsers
from .exit_status import FINE
from .output import Found

if TYPE_CHECKING:
    from ..lists.request import ListRequest

_STANDARD_INPUT = "-"

_DESCRIPTION = """\
Read a list file as the modules xdp_blocklist and xdp_allowlist read src, and say how many entries it has. Changes nothing.
A file that they would refuse is refused with the same sentence, and status 1. A file also has to fit into the lists: into
those of this host, which only root can see, or else into the largest ones.

Any user may run this, and a host without filters will do. What a file asks for and will not be as meant is a warning, as in
the modules, and the status stays 0.
"""
_ENDING = """\
examples:
  pingkiller validate /etc/pingkiller/blocklist
  curl -s https://feed.example/drop.txt | pingkiller validate --format first_column -
  ansible hosts -m copy -a "src=feed.txt dest=/etc/feed.txt validate='/usr/local/sbin/pingkiller validate %s'"
"""
_KINDS = ("IPv4 addresses", "IPv6 addresses", "IPv4 networks", "IPv6 networks")  #: in the order of ``schema.KINDS``


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand."""
    parsers.fill(parser, run=_run, description=_DESCRIPTION, ending=_ENDING, root=False)
    parsers.add_config(parser)
    parser.add_argument("file", metavar="FILE", help="the list file; - for standard input")
    parser.add_argument(
        "--list", choices=schema.LISTS, default=schema.BLOCKLIST, help="the list that it is for (%(default)s)"
    )
    parser.add_argument(
        "--format",
        choices=("plain", "first_column"),
        default="plain",
        help="first_column: ignore what follows an address on its line (%(default)s)",
    )
    parser.add_argument(
        "--on-invalid",
        choices=("fail", "skip"),
        default="fail",
        help="skip: leave out lines that are no entries, and warn (%(default)s)",
    )
    parser.add_argument(
        "--host-bits",
        choices=("refuse", "mask"),
        default="refuse",
        help="mask: take 10.0.0.1/8 as 10.0.0.0/8 (%(default)s)",
    )


def _run(given: argparse.Namespace) -> int:
    from . import list_check

    found = list_check.check(_request(given), given.config)
    output.write(given, {"file": given.file, **found}, _lines)
    for warning in found["warnings"]:
        output.warn(warning)
    return FINE


def _request(given: argparse.Namespace) -> ListRequest:
    from ..entries.list_lines import Reading
    from ..lists.request import ListRequest
    from . import list_check

    reading = Reading(format=given.format, on_invalid=given.on_invalid, host_bits=given.host_bits)
    if given.file == _STANDARD_INPUT:
        return ListRequest(given.list, entries=list_check.read_standard_input(reading), reading=reading)
    return ListRequest(given.list, src=given.file, reading=reading)


def _lines(found: Found) -> list[str]:
    kinds = [f"{found['kinds'][kind]} {name}" for kind, name in zip(schema.KINDS, _KINDS) if found["kinds"][kind]]
    return [f"{found['file']}: {found['entries']} entries" + (f" ({', '.join(kinds)})" if kinds else "")]
