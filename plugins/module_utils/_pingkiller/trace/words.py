# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of commands, users and signals, as text that is safe to show."""

from __future__ import annotations

import pwd
import signal

from ..errors import printable
from . import layout

_SIGNAL_NAMES = {each.value: each.name for each in signal.Signals}


def command(name: bytes) -> str:
    """Return a command's name, given as the kernel keeps it."""
    return printable(layout.text(name))


def signal_name(number: int) -> str:
    """Return the name of a signal, as kill(1) knows it: real-time signals count from SIGRTMIN.

    The C library keeps the kernel's first real-time signals for itself. They have no name, only a number.
    """
    name = _SIGNAL_NAMES.get(number)
    if name:
        return name
    return f"signal {number}" if number < signal.SIGRTMIN else f"SIGRTMIN+{number - signal.SIGRTMIN}"


class Users:
    """Looks up the names of users. A name is asked for once, because the answer may come from a server."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def name(self, number: int) -> str:
        """Return the name of the user with this uid, or the uid as text if no user has it."""
        if number not in self._names:
            try:
                self._names[number] = printable(pwd.getpwuid(number).pw_name)
            except (KeyError, OverflowError):
                self._names[number] = str(number)
        return self._names[number]
