# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller trace``: a look from the host itself, live in a terminal, else as text at its end."""

from __future__ import annotations

import argparse
import contextlib
import json
import locale
import os
import select
import shutil
import signal
import sys
import threading

from ..tables import cut
from ..trace import Request, text, watch
from . import runtime

_EVERY = 1.0  #: seconds between two looks at the tables
_HERE, _UNTIL_ENDED = (
    5.0,
    3600.0,
)  #: seconds: unless something else is asked for, where nobody watches and where somebody does
_LEAST_ROWS = 3  #: of a table, however low the terminal is

#: A screen of its own, without cursor, and back to what was there before; to its corner; to the end of a line, of the screen.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_CORNER, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

_DESCRIPTION = """\
Look for a while at what processes ask of the kernel: programs in the kernel count and measure, and go when the look ends.
Ctrl-C ends it and shows what was seen. Nothing is changed, and nothing is kept.
"""
_PROBES = {
    "syscalls": "Count system calls by command and call, or by process and user, and measure them if asked to.",
    "syscall": "Look at one system call: by which process on which file or socket, how many bytes, and how long.",
    "processes": "Show which processes begin, execute what, and end, and how.",
}
#: Of each option: for which probes it is (all, if none is said), and how argparse reads it. The names are those of the module.
_OPTIONS = {
    "by": (
        ("syscalls",),
        {"metavar": "KEY,...", "help": "a row for each: some of pid, comm, user, syscall (comm,syscall)"},
    ),
    "name": (("syscall",), {"metavar": "CALL", "help": "which call (write)"}),
    "top": (("syscalls", "syscall"), {"type": int, "metavar": "N", "help": "rows at the end, 0 for all (20)"}),
    "latency": (("syscalls",), {"action": "store_true", "help": "measure how long the calls take"}),
    "min-us": (
        ("syscalls", "syscall"),
        {"type": float, "metavar": "N", "help": "only calls that took so many microseconds"},
    ),
    "small-bytes": (("syscall",), {"type": int, "metavar": "N", "help": "a call of fewer bytes is small (512)"}),
    "slow-ms": (("syscall",), {"type": float, "metavar": "N", "help": "a call of so many milliseconds is slow (10)"}),
    "limit": (("processes",), {"type": int, "metavar": "N", "help": "end after so many events (1000)"}),
    "duration": ((), {"type": float, "metavar": "SECONDS", "help": "end after so long (5; in a terminal an hour)"}),
    "pid": ((), {"type": int, "metavar": "N", "help": "only this process"}),
    "user": ((), {"metavar": "NAME", "help": "only processes of this user"}),
    "comm": ((), {"metavar": "NAME", "help": "only commands of this name, as in /proc/PID/comm"}),
    "unit": ((), {"metavar": "UNIT", "help": "only this unit of systemd, such as ssh.service"}),
    "cgroup": ((), {"metavar": "PATH", "help": "only this cgroup below /sys/fs/cgroup, and those in it"}),
    "max-overhead": (
        (),
        {"type": float, "metavar": "PERCENT", "help": "end when the programs take more of all processors"},
    ),
}


def add(commands) -> None:
    """Add the command to those of ``pingkiller``."""
    first = _DESCRIPTION.partition(":")[0] + "."
    top = commands.add_parser("trace", help=first, description=_DESCRIPTION)
    probes = top.add_subparsers(title="probes", metavar="PROBE", required=True)
    for probe, description in _PROBES.items():
        parser = probes.add_parser(probe, help=description.partition(":")[0].rstrip("."), description=description)
        for name, (only, how) in _OPTIONS.items():
            if not only or probe in only:
                parser.add_argument(f"--{name}", default=argparse.SUPPRESS, **how)
        parser.add_argument("--json", action="store_true", help="for programs: one JSON object, at the end")
        parser.set_defaults(run=_run, probe=probe)


def _run(given) -> int:
    live = sys.stdout.isatty() and not given.json and os.environ.get("TERM", "dumb") != "dumb"
    request = Request.checked(**{"duration": _UNTIL_ENDED if live else _HERE, **_asked(given)})
    result: dict = {}
    with _screen() if live else _no_screen() as show:
        for result in watch(request, runtime.trace_sources(), _EVERY, _stop_on_signals()):
            show(result)
    found = [json.dumps(result, indent=2)] if given.json else text.lines(result, blocks=_draws_blocks())
    sys.stdout.write("".join(f"{_encodable(line)}\n" for line in found))
    return 0


def _stop_on_signals() -> threading.Event:
    """Ctrl-C and SIGTERM end the look, and what was seen is shown; a second one ends the command."""
    stop = threading.Event()

    def end(number: int, _frame) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


def _asked(given) -> dict:
    """The options that were given, as the library calls them."""
    names = [name.replace("-", "_") for name in _OPTIONS]
    options = {name: getattr(given, name) for name in names if hasattr(given, name)}
    if "by" in options:
        options["by"] = tuple(options["by"].split(","))
    return {"probe": given.probe, **options}


@contextlib.contextmanager
def _no_screen():
    """Shows nothing before the end, and finds out before it whether anybody still waits for that."""
    watched = select.poll()
    watched.register(sys.stdout, 0)

    def show(_result: dict) -> None:
        if any(event & (select.POLLERR | select.POLLHUP) for _file, event in watched.poll(0)):
            raise BrokenPipeError

    yield show


@contextlib.contextmanager
def _screen():
    """Draws each result over the one before, in one go, so that nothing flickers."""
    blocks = _draws_blocks()

    def show(result: dict) -> None:
        size = shutil.get_terminal_size()
        shown = [_encodable(line) for line in _fitted(result, size.lines, blocks)]
        drawn = f"{_END_OF_LINE}\r\n".join(cut(line, size.columns) for line in shown)
        _draw(_CORNER + drawn + _END_OF_LINE + _END_OF_SCREEN)

    _draw(_ENTER)
    try:
        yield show
    finally:
        _draw(_LEAVE)


def _draw(what: str) -> None:
    sys.stdout.write(what)
    sys.stdout.flush()


def _fitted(result: dict, height: int, blocks: bool) -> list[str]:
    """As many rows of it as leave room for the rest."""
    rest = len(text.lines(result, _LEAST_ROWS, blocks)) - _LEAST_ROWS
    return text.lines(result, max(_LEAST_ROWS, height - rest), blocks)[:height]


def _draws_blocks() -> bool:
    """Python writes UTF-8 whatever the locale is, but the terminal shows what the locale says."""
    return locale.nl_langinfo(locale.CODESET).upper() in ("UTF-8", "UTF8")


def _encodable(line: str) -> str:
    return line if _draws_blocks() else line.encode("ascii", "backslashreplace").decode()
