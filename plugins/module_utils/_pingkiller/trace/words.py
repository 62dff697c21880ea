# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes and users are called, as text that can be shown."""

from __future__ import annotations

import pwd

from ..errors import printable
from . import layout


def command(name: bytes) -> str:
    """A command's name as the kernel keeps it."""
    return printable(layout.text(name))


class Users:
    """Names by uid; each is asked for once, since that may go to a server."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def name(self, number: int) -> str:
        """The uid as text where nobody has it."""
        if number not in self._names:
            try:
                self._names[number] = printable(pwd.getpwuid(number).pw_name)
            except (KeyError, OverflowError):
                self._names[number] = str(number)
        return self._names[number]
