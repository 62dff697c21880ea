# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories in which nobody but root has a say: made as such, and told from others'. Nothing that is there is changed."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import stat

from ..errors import PingKillerError, shortened_path
from . import reading

MODE = 0o700
_REMEDY = (
    "nothing was changed; if it is PingKiller's, give it back to root with mode 0700, else find out who made it, and remove it or "
    "name another one"
)


def make_directory(path: str) -> None:
    """For its owner only, whatever the umask. Raises FileExistsError."""
    before = os.umask(0o077)
    try:
        os.mkdir(path, MODE)
    finally:
        os.umask(before)


def make_way(path: str) -> bool:
    """A directory and those around it that are missing; whether it was. What ``check_way`` refuses is to be known by then."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(os.path.abspath(path))
    for each in reversed(missing):
        make_directory(each)
    return bool(missing)


def check_directory(path: str) -> None:
    """Nothing, or a directory as ``make_directory`` makes it for root. Raises PingKillerError for anything else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode) or not _trusted(status) or status.st_mode & 0o777 != MODE:
        raise PingKillerError(
            f"{path} is {_described(status)}, not a directory of root's with mode 0700 as PingKiller makes it: {_REMEDY}"
        )


def check_way(path: str, top: str = "/") -> None:
    """Raises PingKillerError where somebody else could lead a path elsewhere, or has. What is not there yet is fine.

    Every directory and every link that the kernel passes is looked at, from ``top`` on, which the path begins with.
    What the path leads to is not, so it is another's to judge. Raises OSError where there is no such way.
    """
    above = len(reading.parts(top)) - 1
    passed = itertools.count()

    def look(descriptor: int, status: os.stat_result) -> None:
        if next(passed) >= above:
            _check_passed(descriptor, status)

    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        # Not made shorter: behind a link, ``..`` is not where it seems to be.
        os.close(reading.find(os.path.join(os.getcwd(), path), look).descriptor)


def _check_passed(descriptor: int, status: os.stat_result) -> None:
    """A link of root's, or a directory in which nobody can take root's away. Raises PingKillerError for anything else."""
    others_write = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if not _trusted(status) or (others_write and not stat.S_ISLNK(status.st_mode)):
        raise _led_elsewhere(os.readlink(f"/proc/self/fd/{descriptor}"), status)


def _led_elsewhere(path: str, status: os.stat_result) -> PingKillerError:
    """Of what may be anybody's, down to /etc, so that nothing is advised that takes away its use."""
    mend = ""
    if _trusted(status) and stat.S_ISDIR(status.st_mode):
        mend = f"take the right to write from group and others (chmod go-w {shlex.quote(shortened_path(path))}), or "
    return PingKillerError(
        f"{shortened_path(path)} is {_described(status)}, so that others than root could lead what is below it elsewhere: nothing was changed; "
        f"{mend}name one below directories that only root can write to"
    )


def _trusted(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())


def _described(status: os.stat_result) -> str:
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISLNK, "a symbolic link"))
    kind = next((name for is_one, name in kinds if is_one(status.st_mode)), "a file")
    return f"{kind} of user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):04o}"
