# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pingkiller`` writes: results on standard output, as JSON or text, and errors on standard error."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any

from ..errors import on_screen, printable

#: What a command has found, as JSON has it.
Found = dict[str, Any]


def write(given: argparse.Namespace, found: Found, lines: Callable[[Found], list[str]]) -> None:
    """Write a result as JSON with ``--json``, else as the lines of text that ``lines`` makes of it."""
    sys.stdout.write(text(given, found, lines))


def text(given: argparse.Namespace, found: Found, lines: Callable[[Found], list[str]]) -> str:
    """Return what ``write`` writes. A comment may have letters that the encoding of the output lacks."""
    written = json.dumps(found, indent=2) if given.json else "\n".join(map(printable, lines(found)))
    encoding = sys.stdout.encoding or "utf-8"
    return written.encode(encoding, "backslashreplace").decode(encoding) + "\n"


def amount(cell: Found) -> str:
    """Write a count of packets with their bytes."""
    return f"{cell['packets']} packets, {cell['bytes']} bytes"


def complain(sentence: str) -> None:
    """Write an error. In the journal, ``<3>`` marks it as one (sd-daemon(3))."""
    _say("<3>" if "JOURNAL_STREAM" in os.environ else "pingkiller: ", sentence)


def warn(sentence: str) -> None:
    """Write a warning. In the journal, ``<4>`` marks it as one."""
    _say("<4>" if "JOURNAL_STREAM" in os.environ else "pingkiller: warning: ", sentence)


def say(sentence: str) -> None:
    """Write what goes on, for somebody who waits."""
    _say("pingkiller: ", sentence)


def _say(mark: str, sentence: str) -> None:
    sys.stderr.write(f"{mark}{on_screen(sentence)}\n")


def nobody_reads() -> bool:
    """Return whether the reader of standard output has gone."""
    watched = select.poll()
    watched.register(sys.stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _file, event in watched.poll(0))


def open_missing_streams() -> None:
    """Open /dev/null for streams that were closed when the command started. Python has None for these."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - it stays open
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - it stays open


def drop() -> None:
    """Drop output that could not be written. Python would try again at its end, and complain a second time."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    discard()


def discard() -> None:
    """Discard what is not written yet, without waiting for the reader, and all further output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
