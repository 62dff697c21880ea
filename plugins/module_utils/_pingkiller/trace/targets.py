# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a descriptor of another process leads to."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import time
from collections.abc import Iterator

from ..entries import addresses
from ..errors import printable

_SOCKET = "socket:["  #: how the link to a socket begins that is in no table, or not in those that were read last
_PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
_MOST_SOCKETS = 50000  #: of one table: where there are more, some stay without a name
_PAUSE = 0.2  #: seconds before the tables of a network namespace are read again


class Targets:
    """Looked up once for each process and descriptor, soon after the first call, and kept."""

    def __init__(self) -> None:
        self._found: dict[tuple, str] = {}
        self._sockets: dict[str, tuple[float, dict[str, str]]] = {}  # of a network namespace, by inode, and when read

    def look_up(self, key: tuple, pid: int, fd: int) -> None:
        """``key`` is what the answer is kept under: a pid may be another process's by now."""
        if self._found.get(key, _SOCKET).startswith(_SOCKET):
            with contextlib.suppress(OSError):  # the process has gone, or closed it
                self._found[key] = self._describe(pid, os.readlink(f"/proc/{pid}/fd/{fd}"))

    def get(self, key: tuple) -> str | None:
        return self._found.get(key)

    def _describe(self, pid: int, link: str) -> str:
        if link.startswith(_SOCKET):
            with contextlib.suppress(OSError):
                link = self._socket(pid, link[len(_SOCKET) : -1]) or link
        return printable(link)

    def _socket(self, pid: int, inode: str) -> str | None:
        namespace = os.readlink(f"/proc/{pid}/ns/net")
        read_at, sockets = self._sockets.get(namespace, (0.0, {}))
        if inode not in sockets and time.monotonic() - read_at > _PAUSE:
            sockets = dict(_sockets(f"/proc/{pid}/net"))
            self._sockets[namespace] = time.monotonic(), sockets
        return sockets.get(inode)


def _sockets(directory: str) -> Iterator[tuple[str, str]]:
    """Inode and description of the sockets in a network namespace."""
    for protocol in _PROTOCOLS:
        for fields in _lines(f"{directory}/{protocol}"):
            yield fields[9], _connection(protocol, fields[1], fields[2])
    for fields in _lines(f"{directory}/unix"):
        yield fields[6], "unix " + (fields[7] if len(fields) > 7 else f"[{fields[6]}]")


def _lines(path: str) -> Iterator[list[str]]:
    with contextlib.suppress(OSError), open(path, errors="surrogateescape") as file:
        next(file, None)
        for line in itertools.islice(file, _MOST_SOCKETS):
            yield line.rstrip("\n").split(maxsplit=7 if path.endswith("unix") else -1)


def _connection(protocol: str, local: str, remote: str) -> str:
    here, there = _endpoint(local), _endpoint(remote)
    name = protocol.rstrip("6")
    return f"{name} {here}" if there.endswith(":0") else f"{name} {here} -> {there}"


def _endpoint(text: str) -> str:
    """``0100007F:0016`` is 127.0.0.1:22: words of the kernel's memory in hexadecimal."""
    words, _colon, port = text.partition(":")
    packed = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    shown = addresses.display(packed)
    return f"[{shown}]:{int(port, 16)}" if ":" in shown else f"{shown}:{int(port, 16)}"
