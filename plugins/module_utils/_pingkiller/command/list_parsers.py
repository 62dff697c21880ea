# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of subcommands that change a list: what they share."""

from __future__ import annotations

import argparse

from ..kernel import schema


def add_list(parser: argparse.ArgumentParser) -> None:
    """Add the option of subcommands that change a list."""
    parser.add_argument(
        "--list", choices=schema.LISTS, default=schema.BLOCKLIST, help="the list to change (%(default)s)"
    )


def add_direction(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the option that says on which side of a packet an entry holds."""
    parser.add_argument("--direction", choices=schema.DIRECTIONS, help=text)


def add_entry_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of subcommands that put entries on a list."""
    parser.add_argument("--comment", metavar="TEXT", help="what to remember of the entry (as it is)")
    parser.add_argument(
        "--persist",
        action=argparse.BooleanOptionalAction,
        help="whether it comes back at boot (if the host restores its filters)",
    )
