# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the manual page of a command line, in the language of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from command_line import Argument, Command

_ESCAPES = str.maketrans(
    {"\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
)
_SHARED = 3  #: an option of at least so many subcommands is described once


def write(commands: list[Command], version: str, summary: str, see_also: str) -> str:
    """Return the page. The description and the ending of the first command, which has all others, are those of the page."""
    top, *below = commands
    called = [command for command in below if not command.subcommands]
    shared = _shared(below, [flag for option in top.options for flag in option.flags])
    lines = [
        f'.TH {_escaped(" ".join(top.words).upper())} 8 "" "PingKiller {_escaped(version)}" "System Administration"',
        *(".SH NAME", f"{_escaped(top.words[0])} \\- {_escaped(summary)}", ".SH SYNOPSIS", ".nf"),
        *(_called(command) for command in called),
        *(".fi", ".SH DESCRIPTION", *_blocks(top.description), ".SH OPTIONS"),
        *(".PP", "Of the command itself, and \\fB\\-\\-help\\fR of every subcommand, too:", *_described(top.arguments)),
        *(".PP", "Of the subcommands that say so under COMMANDS:", *_described(shared), ".SH COMMANDS"),
    ]
    for command in below:
        lines += [f".SS {_escaped(' '.join(command.words))}", *_blocks(command.description)]
        lines += [*_command(command, shared), *_blocks(command.ending)]
    lines += [*_blocks(top.ending, heading=".SH"), ".SH SEE ALSO", *_blocks(see_also)]
    return "\n".join(lines) + "\n"


def _shared(commands: list[Command], known: list[str]) -> list[Argument]:
    """Return the options that are described once: those of several subcommands, besides the known ones."""
    by_option: dict[Argument, set[str]] = {}
    for command in commands:
        for option in command.options:
            by_option.setdefault(option, set()).add(command.words[1])
    return [option for option, names in by_option.items() if len(names) >= _SHARED and not {*option.flags} & {*known}]


def _command(command: Command, shared: list[Argument]) -> Iterator[str]:
    """Write how a subcommand is called, and the arguments that only it has, or few others."""
    if command.subcommands:
        return
    yield from (".PP", _called(command))
    taken = [f"\\fB{_escaped(each.flags[-1])}\\fR" for each in command.options if each in shared]
    if taken:
        yield from (".br", f"Takes {', '.join(taken)}.")
    yield from _described([each for each in command.arguments if each not in shared and "--help" not in each.flags])


def _called(command: Command) -> str:
    positionals = [
        f"{'' if each.needed else '['}\\fI{_escaped(each.value)}\\fR{' ...' if each.many else ''}{'' if each.needed else ']'}"
        for each in command.positionals
    ]
    needed = [
        f"\\fB{_escaped(each.flags[-1])}\\fR \\fI{_escaped(each.value)}\\fR" for each in command.options if each.needed
    ]
    return " ".join([f"\\fB{_escaped(' '.join(command.words))}\\fR", *needed, "[\\fIOPTIONS\\fR]", *positionals])


def _described(arguments: list[Argument] | tuple[Argument, ...]) -> Iterator[str]:
    for each in arguments:
        names = ", ".join(f"\\fB{_escaped(flag)}\\fR" for flag in each.flags)
        value = f"\\fI{_escaped(each.value)}\\fR" if each.value else ""
        yield from (".TP", f"{names} {value}".strip(), _escaped(each.text))


def _blocks(text: str, heading: str = "") -> Iterator[str]:
    """Write the paragraphs of a help text. One that begins with a line such as ``examples:`` is a list or has commands."""
    for block in filter(None, re.split(r"\n\s*\n", text.strip("\n"))):
        first, *rest = block.split("\n")
        if first.endswith(":") and rest and all(line.startswith("  ") for line in rest):
            title = _escaped(first[:-1])
            yield from [f"{heading} {title.upper()}"] if heading else [".PP", f"\\fB{title[0].upper()}{title[1:]}\\fR"]
            yield from _items(rest, commands=first == "examples:")
        else:
            yield from (".PP", _escaped(" ".join(block.split())))


def _items(lines: list[str], *, commands: bool) -> Iterator[str]:
    """Write lines of two columns: a term, and after at least two spaces what is said about it. Prose has no second column.

    A line that is indented further goes on with the second column of the line before.
    """
    prose, joined = False, list[str]()
    for line in lines:
        if joined and not commands and _indented(line) > _indented(lines[0]):
            joined[-1] += f"   {line.strip()}"
        else:
            joined.append(line)
    for line in joined:
        term, _gap, text = re.fullmatch(r"(.*?)(\s{2,}(.*))?", line.strip()).groups()
        text = text and " ".join(text.split())
        if text or commands:
            yield from (".TP", f"\\fB{_escaped(term)}\\fR", *([_escaped(text)] if text else ["\\&"]))
        else:
            yield from ([] if prose else [".PP"])
            yield _escaped(term)
        prose = not text and not commands


def _indented(line: str) -> int:
    return len(line) - len(line.lstrip())


def _escaped(text: str) -> str:
    """Return text of which man(7) reads nothing as a request."""
    escaped = text.translate(_ESCAPES)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
