# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that only root can change: making them, and checking that they are. Existing ones are left as they are."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat

from ..errors import PingKillerError, shortened_path
from . import walk

MODE = 0o700
_REMEDY = (
    "nothing was changed; if it is PingKiller's, give it back to root with mode 0700, else find out who made it, and remove it or "
    "name another one"
)


def make_directory(path: str) -> None:
    """Make a directory for its owner only, with any umask. Raises FileExistsError."""
    before = os.umask(0o077)
    try:
        os.mkdir(path, MODE)
    finally:
        os.umask(before)


def make_directories(path: str) -> bool:
    """Make a directory and the missing ones above it. Return whether it was missing. Call ``check_path`` before."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(os.path.abspath(path))
    for directory in reversed(missing):
        make_directory(directory)
    return bool(missing)


def check_directory(path: str) -> None:
    """Raise PingKillerError unless nothing is there, or a directory of root's as ``make_directory`` makes it."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode) or not _trusted(status) or status.st_mode & 0o777 != MODE:
        raise PingKillerError(
            f"{path} is {_described(status)}, not a directory of root's with mode 0700 as PingKiller makes it: {_REMEDY}"
        )


def check_path(path: str, top: str = "/") -> None:
    """Raise PingKillerError if a user other than root could lead a path elsewhere. A path may end in missing directories.

    Every directory and link that the kernel passes is checked, from ``top`` on, which the path begins with. The file at the
    end is not. Raises OSError if the path cannot be followed.
    """
    above = len(walk.parts(top)) - 1
    passed = itertools.count()

    def look(descriptor: int, status: os.stat_result) -> None:
        if next(passed) >= above:
            _check_passed(descriptor, status)

    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        # Not normalised: after a link, ``..`` is the directory above the link's target.
        os.close(walk.find(os.path.join(os.getcwd(), path), look).descriptor)


def _check_passed(descriptor: int, status: os.stat_result) -> None:
    """Raise PingKillerError unless this is a link of root's, or a directory where nobody else can replace root's files."""
    others_write = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if not _trusted(status) or (others_write and not stat.S_ISLNK(status.st_mode)):
        raise _changeable(os.readlink(f"/proc/self/fd/{descriptor}"), status)


def _changeable(path: str, status: os.stat_result) -> PingKillerError:
    """Return the error for a directory or link that others could change.

    It may be any directory of the host, even /etc, so the error advises nothing that would make it unusable.
    """
    remedy = ""
    if _trusted(status) and stat.S_ISDIR(status.st_mode):
        import shlex  # only for this message

        remedy = f"take the right to write from group and others (chmod go-w {shlex.quote(shortened_path(path))}), or "
    return PingKillerError(
        f"{shortened_path(path)} is {_described(status)}, so that others than root could replace what is below it: nothing was changed; "
        f"{remedy}name one below directories that only root can write to"
    )


def _trusted(status: os.stat_result) -> bool:
    """Return whether a file belongs to root or to this process's user."""
    return status.st_uid in (0, os.geteuid())


def _described(status: os.stat_result) -> str:
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISLNK, "a symbolic link"))
    kind = next((name for is_one, name in kinds if is_one(status.st_mode)), "a file")
    return f"{kind} of user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):04o}"
