# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read lists as users write them: the addresses of a task, and files with a line for each entry."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, repeat
from typing import TextIO

from ..errors import PingKillerError
from . import addresses
from .claims import Claim
from .list_kinds import check_kind
from .list_lines import Faults, LineReader, Reading
from .requested import RequestedEntries, merge_duplicates

MOST_ENTRIES = 1 << 24  #: in a file, with duplicates: four times what a list holds
MOST_LINES = 1 << 25  #: in a file: every entry may have a comment above it
UNCHECKED_ENTRIES = 1 << 22  #: how many entries are read before looking for duplicates
_READ_AT_ONCE = 65536  #: characters of a list file, and the longest line


def parse_all(texts: Iterable[str], usual: Claim, reading: Reading = Reading()) -> RequestedEntries:
    """Read the addresses, networks and ranges of a task. Raises PingKillerError naming up to ten bad ones."""
    keys: list[bytes] = []
    faults = Faults(reading)
    for text in texts:
        try:
            keys += addresses.parse_entry(text, mask=reading.masks)
        except ValueError as error:
            faults.add("ip=", text, error)
    if not keys and not faults.number:
        raise PingKillerError("ip is empty: give at least one IPv4 or IPv6 address or network")
    return _judged(RequestedEntries(keys, usual), faults, reading)


def parse_file(
    file: TextIO,
    name: str,
    usual: Claim,
    *,
    reading: Reading = Reading(),
    path: str | None = None,
    most: int | None = None,
) -> RequestedEntries:
    """Read a list file, a line for each entry:

        ENTRY [direction=src|dst|both] [ttl=DURATION] [comment="TEXT"] [# remark]

    ``usual`` is the claim of lines without options. Lines that are nothing but addresses of one family are read some
    thousands at once.

    Raises PingKillerError, in which ``name`` names the file, for bad lines (up to ten are named); for a file that is no list,
    with how to make a list of the file at ``path``; and if more than ``most`` entries are distinct.
    """
    reader = LineReader(name, usual, reading)
    before, unchecked = 0, UNCHECKED_ENTRIES
    for lines in _some_lines(file, name, path):
        plain = _plain_keys(lines)
        if plain is None:
            reader.read(lines, before)
        else:
            reader.keys += plain
        before += len(lines)
        _check_length(name, lines=before, entries=len(reader.keys))
        if len(reader.keys) > unchecked:
            _share_duplicates(reader.keys, MOST_ENTRIES if most is None else most)
            unchecked = len(reader.keys) + UNCHECKED_ENTRIES
    requested = merge_duplicates(RequestedEntries(reader.keys, usual, reader.others))
    return _judged(requested, reader.faults, reading)


def _judged(requested: RequestedEntries, faults: Faults, reading: Reading) -> RequestedEntries:
    """Return the entries, with a note of the faults. Raises PingKillerError if the faults are too bad."""
    if not faults.number:
        return requested
    if reading.on_invalid == "fail":
        raise PingKillerError(str(faults))
    if not requested.keys:
        raise PingKillerError(f"with on_invalid=skip nothing is left: {faults}")
    note = f"left out {faults.number} that are no entries: {faults}"
    return requested._replace(skipped=faults.number, notes=(*requested.notes, note))


def _some_lines(file: TextIO, name: str, path: str | None) -> Iterator[list[str]]:
    """Yield the lines without their ends, in pieces that stay in the processor's cache."""
    head = file.read(_READ_AT_ONCE).removeprefix("\ufeff")
    check_kind(head, name, path)
    rest = ""
    for text in chain([head], iter(lambda: file.read(_READ_AT_ONCE), "")):
        lines = (rest + text).split("\n")
        rest = lines.pop()
        if len(rest) > _READ_AT_ONCE:
            raise PingKillerError(
                f"{name} has a line of more than {_READ_AT_ONCE} characters: give a list with an address on each line"
            )
        yield lines
    if rest:
        yield [rest]


def _check_length(name: str, *, lines: int, entries: int) -> None:
    """Check a file while it is read. Raises PingKillerError before it fills the memory or takes a minute."""
    for number, most, what in ((entries, MOST_ENTRIES, "entries"), (lines, MOST_LINES, "lines")):
        if number > most:
            raise PingKillerError(
                f"{name} has more than {most} {what}, and no list may have that many: give a shorter one"
            )


def _share_duplicates(keys: list[bytes], most: int) -> None:
    """Let equal keys be one object, if many are equal. Raises PingKillerError if more than ``most`` are distinct."""
    distinct = set(keys)
    check_number(distinct, most)
    if len(distinct) <= len(keys) // 2:
        one = dict(zip(distinct, distinct))
        keys[:] = map(one.__getitem__, keys)


def check_number(distinct: Collection[bytes], most: int) -> None:
    """Check that no more entries are requested than a list holds: planning would take gigabytes. Raises PingKillerError."""
    if len(distinct) > most:
        raise PingKillerError(
            f"there are more than {most} entries, and a list holds no more: nothing was changed; give fewer, or networks that "
            f"cover them"
        )


def _plain_keys(lines: list[str]) -> list[bytes] | None:
    """Return the keys if every line is an address of one family and nothing else, or None."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            keys = list(map(socket.inet_pton, repeat(family), lines))
        except (OSError, ValueError):
            continue
        return None if addresses.has_mapped(keys) else keys
    return None
