# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of subcommands: what they share."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable

from .. import CONFIG_DIRECTORY
from ..errors import quoted

_USUAL = 80  #: columns

#: Runs a subcommand with its parsed command line, and returns an exit status.
Run = Callable[[argparse.Namespace], int]


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Writes texts as they are.

    argparse makes a formatter for every option that is added, which imports shutil to ask for the width of the terminal, and
    with it four ways to compress files. This one asks by itself.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """Return how wide the help may be, as shutil.get_terminal_size does."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size().columns or _USUAL
    except OSError:  # standard output is closed, or is no terminal
        return _USUAL


def fill(parser: argparse.ArgumentParser, *, run: Run, description: str, ending: str, root: bool = True) -> None:
    """Give the parser of a subcommand what every subcommand has. Without ``root`` any user may run it.

    ``make manual`` reads a paragraph that begins with a line such as ``examples:``, and goes on
    with indented lines, as a list of two columns.
    """
    parser.description = description
    parser.epilog = ending
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


def number(text: str, least: int = 1) -> int:
    """Read the value of an option that counts something. Raises argparse.ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no such number: give {least} to {10**9 - 1}")
    return int(text)


def seconds(text: str, least: float = 0.001, most: float = 1e9) -> float:
    """Read the value of an option that is a time in seconds. Raises argparse.ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no such time: give {least:g} to {most:.0f} seconds")
    return found
