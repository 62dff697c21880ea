# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take entries out of the copies of list files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import filterfalse
from typing import TypeVar

from ..errors import PingKillerError
from ..kernel import schema
from . import copies
from .entries_request import Copies, EntriesRequest, Staying, packed_copies
from .entry_edit import EntriesEdit
from .entry_notes import KeptSource

Value = TypeVar("Value")
#: The sides that stay of the keys that lose any.
Leaving = dict[bytes, tuple[int, ...]]


def narrowed_copies(edit: EntriesEdit, source: KeptSource, *, request: EntriesRequest, staying: Staying) -> Copies:
    """Return the copies of a list file with what stays of them when a request is applied."""
    named = source["copies"]
    leaving = {name: request.leaving(_with_direction(source, name), staying) for name in named.values()}
    packed = {digest: held(edit, digest) for digest in named} if any(leaving.values()) else {}
    if not any(copies.may_hold(data, leaving[named[digest]]) for digest, data in packed.items()):
        return Copies(directions=named, packed={})
    parts: dict[tuple[int, ...], list[bytes]] = defaultdict(list)
    touched = [
        _divide(copies.unpack(data), named[digest], leaving[named[digest]], parts=parts)
        for digest, data in packed.items()
        if data
    ]
    if not any(touched):
        return Copies(directions=named, packed={})
    parts.pop((), None)
    narrowed = packed_copies(parts)
    damaged = {digest: name for digest, name in named.items() if not packed[digest]}
    return Copies(directions={**damaged, **narrowed.directions}, packed=without(narrowed.packed, named))


def _divide(keys: list[bytes], name: str, leaving: Leaving, *, parts: dict[tuple[int, ...], list[bytes]]) -> bool:
    """Put the keys of a copy, which has this direction, to the sides that stay of them. Tell whether any side goes."""
    if leaving:
        for key in filter(leaving.__contains__, keys):  # in their order, so that a prediction has the same digest
            parts[leaving[key]].append(key)
    staying = list(filterfalse(leaving.__contains__, keys))
    parts[schema.DIRECTIONS[name]] += staying
    return len(staying) < len(keys)


def held(edit: EntriesEdit, digest: str) -> bytes:
    """Return what a copy holds, packed. Empty if it is damaged: then nothing of it is restored in any case."""
    try:
        return edit.store.read_copy(edit.name, digest)
    except PingKillerError:
        return b""


def without_damaged(edit: EntriesEdit, source: KeptSource, *, request: EntriesRequest, staying: Staying) -> KeptSource:
    """Return a requested list file without damaged copies, as far as nothing is to stay of them anyway."""
    sides = {
        name: staying(_with_direction(source, name), request.requested.usual) for name in source["copies"].values()
    }
    named = {digest: name for digest, name in source["copies"].items() if sides[name] or held(edit, digest)}
    return {**source, "copies": named}


def _with_direction(source: KeptSource, name: str) -> KeptSource:
    return {**source, "direction": name}


def without(some: Mapping[str, Value], those: Collection[str]) -> dict[str, Value]:
    """Return a mapping without some keys."""
    return {name: value for name, value in some.items() if name not in those}
