# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request for a list, and how the entries that it asks for are kept."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from ..entries import addresses
from ..entries.claims import Claim, direction
from ..entries.list_lines import Reading
from ..entries.requested import RequestedEntries
from ..kernel import schema
from . import copies
from .entry_notes import EntriesNote, KeptEntry, KeptSource, kept_form, note_of

#: Returns the sides that stay of something kept when an entry of a request has this claim.
Staying = Callable[[KeptEntry, Claim], tuple[int, ...]]


class Options(Protocol):
    """The fields of a ``lists.request.ListRequest`` that matter for what is kept. That room is above this one."""

    @property
    def name(self) -> str: ...
    @property
    def src(self) -> str | None: ...
    @property
    def absent(self) -> bool: ...
    @property
    def everything(self) -> bool: ...
    @property
    def exclusive(self) -> bool: ...
    @property
    def owner(self) -> str: ...
    @property
    def from_owner(self) -> str | None: ...
    @property
    def any_owner(self) -> bool: ...
    @property
    def reading(self) -> Reading: ...
    @property
    def persist(self) -> bool | None: ...
    @property
    def keeps_comments(self) -> bool: ...


class Copies(NamedTuple):
    """The copies of a list file."""

    directions: dict[str, str]  #: the direction of each copy by its digest
    packed: dict[str, bytes]  #: what copies hold, by digest; in a plan only those that have to be written


class EntriesRequest:
    """A request for a list with its entries. How they are kept is worked out once, and only if it is asked for."""

    def __init__(self, options: Options, requested: RequestedEntries) -> None:
        self.options = options
        self.requested = requested
        self.path = None if options.src is None else os.path.abspath(options.src)

    @functools.cached_property
    def by_key(self) -> dict[bytes, Claim]:
        return self.requested.by_key()

    @functools.cached_property
    def _by_claim(self) -> dict[Claim, list[bytes]]:
        return self.requested.by_claim()

    def leaving(self, kept: KeptEntry, staying: Staying) -> dict[bytes, tuple[int, ...]]:
        """Return the keys that lose sides if they are kept like this, with the sides that stay."""
        found: dict[bytes, tuple[int, ...]] = {}
        for claim, keys in self._by_claim.items():
            sides = staying(kept, claim)
            if sides != schema.DIRECTIONS[kept["direction"]]:
                found.update(dict.fromkeys(keys, sides))
        return found

    @property
    def note(self) -> EntriesNote:
        """What is kept of the requested entries.

        The copies of a list file have the entries that are for good, and those that end with the file. Other entries that
        expire are kept one by one, and so are entries with a comment.
        """
        if self.path is None:
            return note_of({}, kept_forms(self.by_key))
        return note_of({self.path: self.source}, self.apart)

    @functools.cached_property
    def source(self) -> KeptSource:
        """What is kept of the list file. How it is read is for an older version, which reads it at boot."""
        form, reading, usual = kept_form(self.requested.usual), self.options.reading, Reading()
        source: KeptSource = {"direction": form["direction"], "copies": self.copies.directions}
        if "until" in form:
            source.update({"until": form["until"], "ttl": form["ttl"]})
        if reading.format != usual.format:
            source["format"] = reading.format
        if reading.on_invalid != usual.on_invalid:
            source["on_invalid"] = reading.on_invalid
        if reading.host_bits != usual.host_bits:
            source["host_bits"] = reading.host_bits
        return source

    @functools.cached_property
    def apart(self) -> dict[str, KeptEntry]:
        """The entries of the list file that are kept one by one."""
        return kept_forms(
            {key: claim for claim, keys in self._by_claim.items() if self._is_apart(claim) for key in keys}
        )

    @functools.cached_property
    def copies(self) -> Copies:
        """The copies of the list file."""
        return packed_copies({claim.sides: keys for claim, keys in self._by_claim.items() if not self._is_apart(claim)})

    def _is_apart(self, claim: Claim) -> bool:
        """Tell whether a claim has a comment, or ends by itself, not with the list file."""
        return bool(claim.comment) or (claim.until != schema.FOREVER and claim != self.requested.usual)


def kept_forms(claims: Mapping[bytes, Claim]) -> dict[str, KeptEntry]:
    return {addresses.display(key): kept_form(claim) for key, claim in claims.items()}


def packed_copies(keys: Mapping[tuple[int, ...], list[bytes]]) -> Copies:
    """Pack keys, given by their sides, into copies."""
    packed = {direction(sides): copies.pack(alike) for sides, alike in keys.items() if alike}
    digests = {name: copies.digest(data) for name, data in packed.items()}
    return Copies(
        directions={digests[name]: name for name in packed},
        packed={digests[name]: data for name, data in packed.items()},
    )


def reading_of(source: KeptSource) -> Reading:
    """Return how a list file is to be read: the inverse of what ``EntriesRequest.source`` notes."""
    usual = Reading()
    return Reading(
        format=source.get("format", usual.format),
        on_invalid=source.get("on_invalid", usual.on_invalid),
        host_bits=source.get("host_bits", usual.host_bits),
    )
