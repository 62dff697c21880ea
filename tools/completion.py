# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the completion of a command line for bash."""

from __future__ import annotations

from collections import defaultdict

from command_line import Argument, Command

_FUNCTION = """\
_{name}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command={name} words="" each
    for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$command $each" in
            {subcommands}) command+=" $each" ;;
        esac
    done
    COMPREPLY=()
    case "$command $before" in
{values}
    esac
    case $command in
{words}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -F _{name} {name}
"""
#: What completes the value of an option, by its name, or by the name that the help gives to the value.
_VALUES = {
    "--interface": 'mapfile -t COMPREPLY < <(cd /sys/class/net && compgen -G "$word*")',
    "--user": 'mapfile -t COMPREPLY < <(compgen -u -- "$word")',
    "DIRECTORY": 'compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$word")',
    "FILE": 'compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word")',
}


def write(commands: list[Command]) -> str:
    """Return a script that completes the subcommands, the options and what is known of their values."""
    top, *below = commands
    return _FUNCTION.format(
        name=" ".join(top.words),
        subcommands=" | ".join(map(_called, below)),
        values="\n".join(
            f"        {' | '.join(patterns)}) {how}; return ;;" for how, patterns in _values(commands).items()
        ),
        words="\n".join(f"        {_called(each)}) words='{' '.join(_words(each))}' ;;" for each in commands),
    )


def _called(command: Command, *more: str) -> str:
    return f'"{" ".join([*command.words, *more])}"'


def _words(command: Command) -> list[str]:
    choices = [choice for argument in command.positionals for choice in argument.choices]
    return [*command.subcommands, *choices, *(option.flags[-1] for option in command.options)]


def _values(commands: list[Command]) -> dict[str, list[str]]:
    """Return what comes before the value of an option, as patterns, by what completes the value."""
    of_flag: dict[str, set[str]] = defaultdict(set)
    for command in commands:
        for option in command.options:
            for flag in option.flags:
                of_flag[flag].add(_completed(option))
    patterns: dict[str, list[str]] = defaultdict(list)
    for command in commands:
        for option in command.options:
            for flag in option.flags:
                pattern = f'*" {flag}"' if len(of_flag[flag]) == 1 else _called(command, flag)
                if option.value and pattern not in patterns[_completed(option)]:
                    patterns[_completed(option)].append(pattern)
    return patterns


def _completed(option: Argument) -> str:
    """Return the command that completes the value of an option. If nothing is known of it, this is the one that does nothing."""
    if option.choices:
        return f"mapfile -t COMPREPLY < <(compgen -W '{' '.join(option.choices)}' -- \"$word\")"
    return _VALUES.get(option.flags[-1]) or _VALUES.get(option.value, ":" if option.value else "")
