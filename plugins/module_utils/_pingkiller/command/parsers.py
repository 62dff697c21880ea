# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of subcommands: what they share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .. import CONFIG_DIRECTORY

#: Runs a subcommand with its parsed command line, and returns an exit status.
Run = Callable[[argparse.Namespace], int]


def fill(parser: argparse.ArgumentParser, *, run: Run, description: str, ending: str = "", root: bool = True) -> None:
    """Give the parser of a subcommand what every subcommand has. Without ``root`` any user may run it.

    The texts are shown as they are. ``make manual`` reads a paragraph that begins with a line such as ``examples:``, and goes on
    with indented lines, as a list of two columns.
    """
    parser.description = description
    parser.epilog = ending
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="for programs: write JSON")
    parser.set_defaults(run=run, root=root)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option of subcommands that need the wanted state."""
    parser.add_argument(
        "--config",
        metavar="DIRECTORY",
        default=CONFIG_DIRECTORY,
        help="where the wanted state is (%(default)s)",
    )


def add_lock_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option of subcommands that take the lock of the host."""
    parser.add_argument(
        "--lock-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for another run of PingKiller to end, anew for each that comes before (%(default)s)",
    )
