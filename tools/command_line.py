# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of pingkiller as records, which the manual page and the completion are written from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple


class Argument(NamedTuple):
    """An option, or an argument that has no name on the command line."""

    flags: tuple[str, ...]  #: the names of an option
    value: str  #: what the help calls its value, empty if it takes none
    text: str
    choices: tuple[str, ...]
    many: bool  #: whether it may be given more than once in a row
    needed: bool


class Command(NamedTuple):
    """The command, one of its subcommands, or one of theirs."""

    words: tuple[str, ...]  #: how it is called
    description: str
    ending: str  #: what its help says at the end
    arguments: tuple[Argument, ...]
    subcommands: tuple[str, ...]

    @property
    def options(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.flags]

    @property
    def positionals(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.flags]


def commands(parser: argparse.ArgumentParser, *words: str) -> Iterator[Command]:
    """Yield the command of a parser, which ``words`` call, and those below it."""
    # Argparse has no public way to ask a parser what it knows.
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    below = [each for action in nested for each in action.choices.items()]
    arguments = tuple(_argument(action) for action in parser._actions if action not in nested)
    yield Command(
        words, parser.description or "", parser.epilog or "", arguments, tuple(name for name, _parser in below)
    )
    for name, own in below:
        yield from commands(own, *words, name)


def _argument(action: argparse.Action) -> Argument:
    flags = tuple(action.option_strings)
    choices = tuple(map(str, action.choices or ()))
    value = "" if flags and action.nargs == 0 else str(action.metavar or "|".join(choices) or action.dest.upper())
    text = (action.help or "") % {**vars(action), "prog": "pingkiller"}
    many = action.nargs in ("+", "*", argparse.REMAINDER)
    return Argument(flags, value, text, choices, many, action.required and action.nargs not in ("?", "*"))
