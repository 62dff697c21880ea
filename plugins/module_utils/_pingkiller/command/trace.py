# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller trace``: the command line of the tracers. ``tracing`` runs it."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from . import parsers

_DESCRIPTION = """\
Trace for a while what processes ask of the kernel: programs in the kernel count and measure, and are removed at the end.
Ctrl-C ends it and shows what was seen. Nothing is changed, and nothing is kept.
"""
_PROBES = {
    "syscalls": "Count system calls by command and call, or by process and user, and measure them if asked to.",
    "syscall": "Trace one system call: which process calls it on which file or socket, how many bytes, and how long.",
    "processes": "Show which processes begin, execute what, and end, and how.",
}


_ENDINGS = {
    "syscalls": "examples:\n  pingkiller trace syscalls --latency\n  pingkiller trace syscalls --by comm --duration 10\n",
    "syscall": "examples:\n  pingkiller trace syscall --name read --slow-ms 5\n  pingkiller trace syscall --unit ssh.service\n",
    "processes": "examples:\n  pingkiller trace processes --duration 60\n  pingkiller trace processes --user www-data --json\n",
}


class _Option(NamedTuple):
    """An option of the module bpf_trace_info. ``kind`` converts its value; an option without one is a flag."""

    name: str
    text: str
    value: str = ""  #: what the help calls its value
    kind: type | None = None
    probes: tuple[str, ...] = tuple(_PROBES)


_OPTIONS = (
    _Option("by", "count by some of pid, comm, user, syscall (comm,syscall)", "KEY,...", str, ("syscalls",)),
    _Option("name", "the call to trace (write)", "CALL", str, ("syscall",)),
    _Option("top", "rows at the end, 0 for all (20)", "N", int, ("syscalls", "syscall")),
    _Option("latency", "measure how long the calls take", probes=("syscalls",)),
    _Option("min-us", "only calls that took at least N microseconds", "N", float, ("syscalls", "syscall")),
    _Option("small-bytes", "a call of fewer bytes is small (512)", "N", int, ("syscall",)),
    _Option("slow-ms", "a call of at least N milliseconds is slow (10)", "N", float, ("syscall",)),
    _Option("limit", "end after N events (1000)", "N", int, ("processes",)),
    _Option("duration", "end after this time (5; in a terminal an hour)", "SECONDS", float),
    _Option("pid", "only this process", "N", int),
    _Option("user", "only processes of this user", "NAME", str),
    _Option("comm", "only commands of this name, as in /proc/PID/comm", "NAME", str),
    _Option("unit", "only this unit of systemd, such as ssh.service", "UNIT", str),
    _Option("cgroup", "only this cgroup below /sys/fs/cgroup, and those in it", "PATH", str),
    _Option("max-overhead", "end when the programs take more of all processors", "PERCENT", float),
)


def fill(parser: argparse.ArgumentParser) -> None:
    """Complete the parser of the subcommand, which has a subcommand of its own for each probe."""
    parser.description = _DESCRIPTION
    probes = parser.add_subparsers(title="probes", metavar="PROBE", required=True)
    for probe, description in _PROBES.items():
        own = probes.add_parser(
            probe, help=description.partition(":")[0].rstrip("."), formatter_class=parsers.Formatter
        )
        parsers.fill(own, run=_run, description=description, ending=_ENDINGS[probe])
        for option in _OPTIONS:
            if probe in option.probes:
                _add_option(own, option)
        own.set_defaults(probe=probe)


def _add_option(parser: argparse.ArgumentParser, option: _Option) -> None:
    flag, default = f"--{option.name}", argparse.SUPPRESS
    if option.kind is None:
        parser.add_argument(flag, default=default, help=option.text, action="store_true")
    else:
        parser.add_argument(flag, default=default, help=option.text, type=option.kind, metavar=option.value)


def _run(given: argparse.Namespace) -> int:
    from . import tracing  # imports the compiler, which the other subcommands do not need

    return tracing.run(_asked(given), as_json=given.json)


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given, by their names in the library."""
    names = [option.name.replace("-", "_") for option in _OPTIONS]
    options = {name: getattr(given, name) for name in names if hasattr(given, name)}
    if "by" in options:
        options["by"] = tuple(options["by"].split(","))
    return {"probe": given.probe, **options}
