# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the sockets of a network namespace from files like /proc/net/tcp (proc(5))."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Iterator

from ..entries import addresses

_INTERNET = ("tcp", "tcp6", "udp", "udp6")
_MOST = 50000  #: lines that are read of a file; sockets behind them have no description


def describe(directory: str) -> Iterator[tuple[str, str]]:
    """Yield inode and description, such as ``tcp 127.0.0.1:22 -> 10.0.0.2:5000``, of the sockets in /proc/PID/net."""
    for protocol in _INTERNET:
        for fields in _lines(f"{directory}/{protocol}", columns=None):
            yield fields[9], _connection(protocol.rstrip("6"), local=fields[1], remote=fields[2])
    for fields in _lines(f"{directory}/unix", columns=8):
        yield fields[6], "unix " + (fields[7] if len(fields) > 7 else f"[{fields[6]}]")


def _lines(path: str, columns: int | None) -> Iterator[list[str]]:
    """Yield the fields of each line behind the heading. With ``columns``, the last of these may contain blanks."""
    with contextlib.suppress(OSError), open(path, errors="surrogateescape") as file:
        next(file, None)
        for line in itertools.islice(file, _MOST):
            yield line.rstrip("\n").split(maxsplit=columns - 1 if columns else -1)


def _connection(protocol: str, local: str, remote: str) -> str:
    here, there = _endpoint(local), _endpoint(remote)
    return f"{protocol} {here}" if there.endswith(":0") else f"{protocol} {here} -> {there}"


def _endpoint(text: str) -> str:
    """Read ``0100007F:0016`` as 127.0.0.1:22: the address is words of 32 bits in host byte order, in hexadecimal."""
    words, _colon, port = text.partition(":")
    packed = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    shown = addresses.display(packed)
    return f"[{shown}]:{int(port, 16)}" if ":" in shown else f"{shown}:{int(port, 16)}"
