# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walking along a path as the kernel does, to see whose directories and links it passes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

_MOST_LINKS = 40  #: on one path, as many as the kernel follows
#: Opening a file so neither wakes a device nor a process that writes into a pipe.
_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(NamedTuple):
    """The file that a path leads to."""

    descriptor: int  #: with O_PATH, so it cannot be read
    directory: os.stat_result  #: of the directory that the file is in
    link_owners: set[int]  #: of all links on the path


def find(path: str, look: Callable[[int, os.stat_result], None] = lambda _descriptor, _status: None) -> Place:
    """Walk along a path to its end. The caller closes the descriptor.

    ``look`` is called with every directory and link on the path before it is passed. Raises the errors of ``look``, OSError, and
    ValueError with a reason that can follow the path.
    """
    left, owners = parts(path), []
    here = os.open(".", _PATH_ONLY)
    directory = os.fstat(here)
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
                    directory = os.fstat(here)
                    here, there = there, here
            finally:
                os.close(there)  # the one of the two from which the walk does not go on
    except BaseException:
        os.close(here)
        raise
    return Place(descriptor=here, directory=directory, link_owners=set(owners))


def parts(path: str) -> list[str]:
    """Return the names on a path, the last one first. Raises ValueError with a reason that can follow the path."""
    try:
        nul = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        nul = True
    if nul or not path:
        raise ValueError("is not a path")
    names = [name for name in path.split("/") if name]
    return names[::-1] + ["/"] * path.startswith("/")


def _step(here: int, name: str, *, further: bool) -> int:
    """Open a name in a directory. ``further`` says that the walk goes on from there."""
    if further:
        # With O_DIRECTORY the kernel mounts what is mounted on demand, as it does when somebody passes.
        with contextlib.suppress(NotADirectoryError):
            return os.open(name, _PATH_ONLY | os.O_DIRECTORY, dir_fd=here)
    return os.open(name, _PATH_ONLY, dir_fd=here)


def _target(link: int, number: int) -> list[str]:
    """Return the names that a link leads along. ``number`` counts the links on the path."""
    if number > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return parts(os.readlink("", dir_fd=link))
