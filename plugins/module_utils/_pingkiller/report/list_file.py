# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a whole list to a file, in the format that ``src`` of the list modules reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import chain

from .. import durations
from ..entries import addresses, comments
from ..entries.claims import comment_of
from ..errors import PingKillerError, quoted_path
from ..files import own, replacing
from ..store.entry_list import EntryList
from .validity import moment, validity


def write(entries: EntryList | None, name: str, dest: str) -> str:
    """Write a list to the file of its name in the directory ``dest``. Returns the path. Raises PingKillerError.

    An existing file stays until the new file is complete. Only root may read the file.
    """
    path = os.path.join(dest, name)
    head = f"# The {name} of this host at "
    first_line = f"{head}{durations.iso(durations.from_boot(durations.boot_time()))}\n"
    try:
        _make_directory(dest)
        _check_replaceable(path, head)
        replacing.replace(path, chain([first_line], _lines(entries) if entries else ()), mode=0o600)
    except OSError as error:
        raise PingKillerError(
            f"dest={quoted_path(dest)} cannot be written on the managed host ({error.strerror}): give a directory there that takes the files"
        ) from None
    return path


def _make_directory(dest: str) -> None:
    """Make the directory and those above it. Raises PingKillerError if other users could change or replace it."""
    if not dest.isprintable():
        raise PingKillerError(f"dest={quoted_path(dest)} has characters that cannot be printed: give another directory")
    own.check_path(dest)
    made = own.make_directories(dest)
    status = os.stat(dest)
    if not made and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        raise PingKillerError(
            f"dest={quoted_path(dest)} is a directory that others than root can change: give one of root's own, or one that is to be made"
        )


def _check_replaceable(path: str, head: str) -> None:
    """Raise PingKillerError if there is anything at the path that ``write`` did not write."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError:  # a link, a directory, a socket
        fd = None
    ours = False
    if fd is not None:
        with open(fd, "rb") as file:
            ours = stat.S_ISREG(os.fstat(fd).st_mode) and file.read(len(head)) == head.encode()
    if not ours:
        raise PingKillerError(
            f"{path} is there and was not written by xdp_facts: it was left alone; give another directory as dest, or remove it"
        )


def _lines(entries: EntryList) -> Iterator[str]:
    """Return a line for each entry: the address, its options and, after a #, its owners and counters."""
    for held in entries.held():
        direction, left = validity(held.untils)
        options = ("" if direction == "src" else f" direction={direction}") + ("" if left is None else f" ttl={left}s")
        said = f"{options}{comments.option(comment_of(held.claims))} # owners={','.join(sorted(held.claims))}"
        for key, slot in zip(held.keys, held.slots):
            counts = entries.records.counts(slot)
            seen = f" last_seen={moment(counts.last_seen)}" if counts.last_seen else ""
            yield f"{addresses.display(key)}{said} packets={counts.packets} bytes={counts.bytes}{seen}\n"
