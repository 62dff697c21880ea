# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that others than root may have made: what they put there neither holds root up nor has it show what they may not read."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pickle
import select
import signal
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

#: Bytes of a file. Ten million addresses of any kind, with comments, are less, and more than twice as many as a list holds.
LARGEST = 1 << 30
_MOST_LINKS = 40  #: on one way, as many as the kernel follows
_BUFFER = 65536
_ROOT = 0
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC  #: which wakes nobody: no device, and none who writes into a pipe
_AT_ONCE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_apart = False  #: whether this is a process that ``within`` has made


def within(seconds: float, call: Callable[[], object]):
    """What a call returns or raises, or TimeoutError. It is made in a process of its own: on a file system that does not
    answer the kernel lets none go on, and some not even die. Within another such call, it has that one's process and time: nobody
    would be left to end a second process.
    """
    if _apart:
        return call()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _tell(writer, call)
    os.close(writer)
    told = None
    try:
        told = _all_told(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, os.WNOHANG if told is None else 0)
    result, error = pickle.loads(told)
    if error:
        raise error
    return result


def _tell(writer: int, call: Callable[[], object]) -> NoReturn:
    global _apart
    _apart = True
    try:
        _keep_only(writer)
        try:
            told = call(), None
        except Exception as error:
            told = None, error
        with open(writer, "wb") as pipe:
            pickle.dump(told, pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _keep_only(descriptor: int) -> None:
    """Close all others: who waits for the end of this output, or for a lock, is not to wait for the file system."""
    for each in map(int, os.listdir("/proc/self/fd")):
        if each != descriptor:
            with contextlib.suppress(OSError):  # of the listing itself
                os.close(each)


def _all_told(reader: int, deadline: float) -> bytes:
    told = []
    while True:
        ready, _writable, _broken = select.select([reader], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        told.append(os.read(reader, 1 << 20))
        if not told[-1]:
            return b"".join(told)


def require_answer(path: str, seconds: float) -> None:
    """See that a file can be read to its end within so many seconds. Raises TimeoutError, and as ``opened`` does."""
    within(seconds, lambda: _read_through(path))


def _read_through(path: str) -> None:
    with opened(path) as file:
        while file.read(1 << 20):
            pass


def read(path: str) -> bytes:
    """All of a file. Raises as ``opened`` does."""
    with opened(path) as file:
        return file.read()


@contextlib.contextmanager
def opened(path: str) -> Iterator[io.BufferedReader]:
    """A regular file, of which no more than LARGEST bytes are read, also if somebody goes on writing.

    Raises OSError, and ValueError with a reason that can follow the name. Who owns a directory can put a link there, or move
    somebody's file to where a list was. So a link is followed only if it is root's, or belongs to the owner of what it leads
    to; and what not everybody may read is not read in the directory of a stranger.
    """
    place = find(path)
    with _closing(place.descriptor):
        _check(place)
        descriptor = _open(place.descriptor)
    with _closing(descriptor), io.BufferedReader(_Bounded(descriptor), _BUFFER) as file:
        yield file


def _open(place: int) -> int:
    try:
        # Through the descriptor, so that it is this file whatever has become of the path.
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
    """Raises ValueError where a file goes on for longer than any should."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._left = LARGEST

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def readinto(self, buffer) -> int:
        number = os.readv(self._descriptor, [buffer])
        self._left -= number
        if self._left < 0:
            raise _too_large()
        return number


def _too_large() -> ValueError:
    return ValueError(f"holds more than {LARGEST} bytes")


class Place(NamedTuple):
    """What a path leads to."""

    descriptor: int  #: not to read from
    directory: os.stat_result  #: that it is in
    link_owners: set[int]  #: of all links on the way


def _check(place: Place) -> None:
    status = os.fstat(place.descriptor)
    own = {_ROOT, status.st_uid}
    strangers = place.link_owners - own
    if strangers:
        raise ValueError(
            f"is reached through a symbolic link of user {min(strangers)}, who does not own what it leads to, so it was not read"
        )
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is no regular file")
    if not status.st_mode & stat.S_IROTH:
        _check_put_there(status, place.directory)
    if status.st_size > LARGEST:
        raise _too_large()


def _check_put_there(status: os.stat_result, directory: os.stat_result) -> None:
    """Of what not everybody may read: who could move it here, or make a second name of it? Raises ValueError."""
    kept = f"is for user {status.st_uid} to read and not for everybody, and is in a directory"
    if directory.st_uid not in (_ROOT, status.st_uid):
        raise ValueError(f"{kept} of user {directory.st_uid}, so it was not read")
    # Where only root and its owner can make names, they may: backups do, and what makes one file of two that are alike.
    if status.st_nlink > 1 and directory.st_mode & 0o022:
        raise ValueError(f"{kept} in which others can make names, with {status.st_nlink} names, so it was not read")


def find(path: str, look: Callable[[int, os.stat_result], None] = lambda _passed, _status: None) -> Place:
    """Go the way that a path names, as the kernel does, and see whose links it takes; the caller closes the descriptor.

    ``look`` is given all that is passed, directories and links, before it goes on from there. Raises what that does, and OSError.
    """
    left, owners = parts(path), []
    here = os.open(".", _PLACE)
    above = os.fstat(here)
    try:
        while left:
            there = _step(here, left.pop(), further=bool(left))
            try:
                status = os.fstat(there)
                is_link = stat.S_ISLNK(status.st_mode)
                if is_link or left:
                    look(there, status)
                if is_link:
                    owners.append(status.st_uid)
                    left += _target(there, len(owners))
                else:
                    above = os.fstat(here)
                    here, there = there, here
            finally:
                os.close(there)  # that of the two from which it does not go on
    except BaseException:
        os.close(here)
        raise
    return Place(here, above, set(owners))


def parts(path: str) -> list[str]:
    """The names on the way, the last one first."""
    try:
        nul = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        nul = True
    if nul or not path:
        raise ValueError("is no path")
    names = [name for name in path.split("/") if name]
    return names[::-1] + ["/"] * path.startswith("/")


def _step(here: int, name: str, further: bool) -> int:
    if further:
        # Said so, the kernel mounts what is to be mounted when somebody goes through.
        with contextlib.suppress(NotADirectoryError):
            return os.open(name, _PLACE | os.O_DIRECTORY, dir_fd=here)
    return os.open(name, _PLACE, dir_fd=here)


def _target(link: int, number: int) -> list[str]:
    if number > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return parts(os.readlink("", dir_fd=link))
