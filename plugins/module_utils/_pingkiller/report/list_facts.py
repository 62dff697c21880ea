# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one list holds and has counted: the part of it that facts tell, and the file that has all of it."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from itertools import chain, islice

from .. import durations
from ..entries import addresses
from ..entries.claims import direction
from ..errors import PingKillerError, quoted_path
from ..files import own
from ..kernel import schema
from ..store import entry_list
from ..store.entry_list import EntryList
from ..store.pins import Pins


def collect(pins: Pins, name: str, limit: int, top: int, dest: str | None) -> dict:
    """Counts, up to ``limit`` entries, the busiest ones; with ``dest``, a directory, a file there has all entries."""
    with entry_list.opened_list(pins, name) as entries:
        file = {"file": write(entries, name, dest)} if dest is not None else {}
        if entries is None:
            return {"count": 0, "capacity": 0, "truncated": False, "entries": [], "top": [], **file}
        live = chain.from_iterable(zip(entries.records.keys(*alike), alike[1]) for alike in entries.live())
        shown = sorted(islice(live, limit), key=lambda each: addresses.sort_key(each[0]))
        count = entries.count
        return {
            "count": count,
            "capacity": entries.capacity,
            "truncated": count > len(shown),
            "entries": [_entry(entries, key, slot) for key, slot in shown],
            "top": [_entry(entries, entries.records.key(slot), slot) for slot in entries.top(top)],
            **file,
        }


def _entry(entries: EntryList, key: bytes, slot: int) -> dict:
    packets, size, last_seen = entries.records.counts(slot)
    sides, seconds_left = _validity(entries.records.untils(slot))
    return {
        "ip": addresses.display(key),
        "owners": sorted(entries.claims(slot)),
        "direction": sides,
        "expires_in": seconds_left,
        "packets": packets,
        "bytes": size,
        "last_seen": _moment(last_seen) if last_seen else None,
    }


def _validity(untils: tuple[int, int]) -> tuple[str | None, int | None]:
    """The direction in which an entry matches now, and for how many seconds (None for ever)."""
    now = durations.boot_time()
    sides = tuple(side for side, until in enumerate(untils) if until > now)
    left = None if max(untils) == schema.FOREVER else durations.left(max(untils))
    return direction(sides) if sides else None, left


def _moment(last_seen: int) -> str:
    return durations.iso(durations.from_monotonic(last_seen))


def write(entries: EntryList | None, name: str, dest: str) -> str:
    """Write the list whole, in the format that ``src`` reads, into the directory; the path. Raises PingKillerError.

    What was there under this name stays until the new file is complete. Nobody but root may read it.
    """
    path = os.path.join(dest, name)
    head = f"# The {name} of this host at "
    try:
        _make_way(dest)
        _check_replaceable(path, head)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=dest)
        try:
            with open(handle, "w", encoding="ascii") as file:
                file.write(f"{head}{durations.iso(durations.from_boot(durations.boot_time()))}\n")
                file.writelines(_lines(entries) if entries else ())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise PingKillerError(
            f"dest={quoted_path(dest)} cannot be written on the managed host ({error.strerror}): give a directory there that takes the files"
        ) from None
    return path


def _make_way(dest: str) -> None:
    """The directory and those around it. Raises PingKillerError where others than root have a say in where that is."""
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
    """Raises PingKillerError if what is there was not written here before."""
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
    """Each entry with its options, and behind a # its owners and what it has counted."""
    for held in entries.held():
        where, left = _validity(held.untils)
        options = ("" if where == "src" else f" direction={where}") + ("" if left is None else f" ttl={left}s")
        said = f"{options} # owners={','.join(sorted(held.claims))}"
        for key, slot in zip(held.keys, held.slots):
            packets, size, last_seen = entries.records.counts(slot)
            seen = f" last_seen={_moment(last_seen)}" if last_seen else ""
            yield f"{addresses.display(key)}{said} packets={packets} bytes={size}{seen}\n"
