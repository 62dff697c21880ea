# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files that other users may have made or moved.

They can neither keep root waiting nor let root show the content of a file that they may not read.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from . import deadline, walk

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of a file. Ten million addresses with comments take less, which are more than twice as many as a list holds.
LARGEST = 1 << 30
_BUFFER = 65536
_ROOT = 0
_AT_ONCE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def require_answer(path: str, seconds: float) -> None:
    """Check that a file can be read to its end in time. Raises TimeoutError, and as ``opened`` does."""
    deadline.within(seconds, lambda: _read_through(path))


def _read_through(path: str) -> None:
    with opened(path) as file:
        while file.read(1 << 20):
            pass


def read(path: str) -> bytes:
    """Return the content of a file. Raises as ``opened`` does."""
    with opened(path) as file:
        return file.read()


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a regular file. No more than LARGEST bytes are read, even if somebody goes on writing.

    Raises OSError, and ValueError with a reason that can follow the path. The owner of a directory can put a link there, or move
    a file of somebody else to where a list was. So a link is followed only if it belongs to root or to the owner of the file
    that it leads to. And a file that not everybody may read is not read in the directory of another user.
    """
    place = walk.find(path)
    with _closing(place.descriptor):
        _check(place)
        descriptor = _open(place.descriptor)
    with _closing(descriptor), io.BufferedReader(_Bounded(descriptor), _BUFFER) as file:
        yield file


def _open(place: int) -> int:
    try:
        # By way of the descriptor, because the path may lead to another file by now.
        return os.open(f"/proc/self/fd/{place}", _AT_ONCE)
    except BlockingIOError:
        raise ValueError(
            "is a file on which another process holds a lease (/proc/locks has its number), so it was not read"
        ) from None


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


class _Bounded(io.RawIOBase):
    """A file that raises ValueError once more than LARGEST bytes have been read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = LARGEST

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def readinto(self, buffer: WriteableBuffer) -> int:
        number = os.readv(self._descriptor, [buffer])
        self._left -= number
        if self._left < 0:
            raise _too_large()
        return number


def _too_large() -> ValueError:
    return ValueError(f"holds more than {LARGEST} bytes")


def _check(place: walk.Place) -> None:
    """Raise OSError or ValueError for a file that is not to be read."""
    status = os.fstat(place.descriptor)
    strangers = place.link_owners - {_ROOT, status.st_uid}
    if strangers:
        raise ValueError(
            f"is reached through a symbolic link of user {min(strangers)}, who does not own what it leads to, so it was not read"
        )
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")
    if not status.st_mode & stat.S_IROTH:
        _check_not_moved(status, place.directory)
    if status.st_size > LARGEST:
        raise _too_large()


def _check_not_moved(status: os.stat_result, directory: os.stat_result) -> None:
    """Raise ValueError if another user may have moved this file here, or given it this name."""
    kept = f"is for user {status.st_uid} to read and not for everybody, and is in a directory"
    if directory.st_uid not in (_ROOT, status.st_uid):
        raise ValueError(f"{kept} of user {directory.st_uid}, so it was not read")
    # In a directory where only root and the owner can make names, several are fine: backups and deduplication make them.
    if status.st_nlink > 1 and directory.st_mode & 0o022:
        raise ValueError(f"{kept} in which others can make names, with {status.st_nlink} names, so it was not read")
