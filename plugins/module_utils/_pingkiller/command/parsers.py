# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of subcommands: what they share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import CONFIG_DIRECTORY

if TYPE_CHECKING:
    #: The subcommands of a parser: what ``add_subparsers`` returns.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

#: Runs a subcommand with its parsed command line, and returns an exit status.
Run = Callable[[argparse.Namespace], int]


def add(commands: Commands, name: str, *, run: Run, description: str) -> argparse.ArgumentParser:
    """Add a subcommand that shows or restores filters and lists. The first sentence of the description is its summary."""
    parser = commands.add_parser(name, help=description.partition(".")[0], description=description)
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")
    parser.add_argument(
        "--config",
        metavar="DIRECTORY",
        default=CONFIG_DIRECTORY,
        help="where the wanted state is (%(default)s)",
    )
    parser.set_defaults(run=run)
    return parser
