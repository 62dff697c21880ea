# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out which file or socket a descriptor of another process refers to."""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

from ..errors import printable
from . import sockets

_SOCKET = "socket:["  #: how the link of a socket begins, if no table that was read has the socket
_PAUSE = 0.2  #: seconds before the tables of a network namespace are read again


class Descriptor(NamedTuple):
    """A descriptor of a process. ``generation`` tells apart the processes that have had the same pid."""

    pid: int
    generation: int
    fd: int


class _Sockets(NamedTuple):
    """The sockets of a network namespace."""

    read_at: float  #: time.monotonic
    descriptions: dict[str, str]  #: by inode


class Targets:
    """Looks up a descriptor soon after the first call that uses it, and keeps the answer."""

    def __init__(self) -> None:
        self._found: dict[Descriptor, str] = {}
        self._namespaces: dict[str, _Sockets] = {}

    def look_up(self, key: Descriptor) -> None:
        """Find the target, if it is not known yet."""
        if self._found.get(key, _SOCKET).startswith(_SOCKET):
            with contextlib.suppress(OSError):  # the process has ended, or has closed it
                self._found[key] = self._describe(key.pid, os.readlink(f"/proc/{key.pid}/fd/{key.fd}"))

    def get(self, key: Descriptor) -> str | None:
        """Return the target that was found."""
        return self._found.get(key)

    def _describe(self, pid: int, link: str) -> str:
        if link.startswith(_SOCKET):
            with contextlib.suppress(OSError):
                link = self._socket(pid, link[len(_SOCKET) : -1]) or link
        return printable(link)

    def _socket(self, pid: int, inode: str) -> str | None:
        namespace = os.readlink(f"/proc/{pid}/ns/net")
        known = self._namespaces.get(namespace, _Sockets(read_at=0.0, descriptions={}))
        if inode not in known.descriptions and time.monotonic() - known.read_at > _PAUSE:
            descriptions = dict(sockets.describe(f"/proc/{pid}/net"))
            known = self._namespaces[namespace] = _Sockets(read_at=time.monotonic(), descriptions=descriptions)
        return known.descriptions.get(inode)
