# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what the wanted state has for an address: what a boot restores of it, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..entries import addresses
from ..errors import PingKillerError
from ..kept import copies, entry_notes
from ..kept.directory import Store
from ..kept.entry_notes import EntriesNote, KeptEntry
from ..kernel import schema
from .listed import ORDER, Listed


class Kept(NamedTuple):
    """An entry that a boot restores for an owner."""

    list_name: str
    key: bytes
    owner: str
    direction: str
    seconds_left: int | None  #: None for an entry that never ends
    source: str | None  #: the path of the list file that it was taken from; None if it was asked for by itself
    present: bool  #: whether the owner has it on the list now, at least in this direction


class Passing(NamedTuple):
    """An entry that its owner has on the list now, and that no boot restores."""

    list_name: str
    key: bytes
    owner: str


class AtBoot(NamedTuple):
    """What a boot makes of an address."""

    restores: bool  #: whether this host restores anything
    kept: list[Kept]
    passing: list[Passing]  #: empty on a host that restores nothing
    faults: list[str]  #: what could not be found out, as sentences


def at_boot(store: Store, key: bytes, listed: Iterable[Listed]) -> AtBoot:
    """Return what the wanted state has for an address or network, given the entries that cover it now."""
    now = {(entry.list_name, entry.key): entry for entry in listed}
    around = _around(key)
    kept: list[Kept] = []
    faults: list[str] = []
    for list_name in ORDER:
        for owner in store.names("entries", list_name):
            try:
                note = entry_notes.unexpired(entry_notes.read_entries(store, list_name, owner))
                kept += _of_note(store, note, list_name=list_name, owner=owner, around=around, now=now)
                faults += _unread(note, list_name)
            except PingKillerError as error:
                faults.append(str(error))
    held = {(each.list_name, each.key, each.owner) for each in kept}
    passing = [Passing(*where, owner) for where, entry in now.items() for owner in sorted(entry.claims)]
    restores = store.restores()
    return AtBoot(restores, kept, [each for each in passing if restores and each not in held], faults)


def _around(key: bytes) -> dict[str, bytes]:
    """Return the keys of all networks around an address, the narrowest first, and its own, by their text."""
    address, longest = addresses.split(key)
    keys = (addresses.network(address, length) for length in range(longest, -1, -1))
    return {addresses.display(each): each for each in keys}


def _of_note(
    store: Store,
    note: EntriesNote,
    *,
    list_name: str,
    owner: str,
    around: dict[str, bytes],
    now: Mapping[tuple[str, bytes], Listed],
) -> Iterator[Kept]:
    def kept(key: bytes, entry: KeptEntry, direction: str, source: str | None = None) -> Kept:
        listed = now.get((list_name, key))
        claim = listed.claims.get(owner) if listed else None
        present = claim is not None and set(schema.DIRECTIONS[direction]) <= set(claim.sides)
        return Kept(list_name, key, owner, direction, entry_notes.seconds_left(entry), source, present)

    entries = note.get("entries", {})
    for text in filter(entries.__contains__, around):
        yield kept(around[text], entries[text], entries[text]["direction"])
    for path, source in note.get("sources", {}).items():
        for digest, direction in source.get("copies", {}).items():
            packed = store.read_copy(entry_notes.entries_name(list_name, owner), digest)
            for key in copies.found_in(packed, around.values()):
                yield kept(key, source, direction, path)


def _unread(note: EntriesNote, list_name: str) -> list[str]:
    return [
        f"{path} is read at boot, as an earlier version kept no copy of it: what it has for the {list_name} was not looked at"
        for path, source in note.get("sources", {}).items()
        if "copies" not in source
    ]
