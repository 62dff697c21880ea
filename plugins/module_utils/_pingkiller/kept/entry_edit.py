# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planned change of what is kept of an owner's entries: a note, and the copies that it names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from ..errors import PingKillerError
from . import copies
from .directory import Store
from .entry_notes import EntriesNote, KeptSource

#: The digests of copies, by the path of the list file and the direction.
Digests = dict[tuple[str, str], list[str]]


class EntriesEdit(NamedTuple):
    """The ``edit.Edit`` of a note of entries."""

    store: Store
    name: str
    found: EntriesNote | None  #: the content of the file; None if it cannot be understood
    before: EntriesNote  #: the content without what has expired, and without copies that are damaged
    after: EntriesNote
    packed: dict[str, bytes] = {}  #: the copies that ``after`` names and that have to be written, by digest

    def __bool__(self) -> bool:
        if self.found is None:
            return True
        if self.before == self.after:
            return False
        return not (self.found and self.before and self.after and self._same_entries())

    def _same_entries(self) -> bool:
        """Tell whether only the order of a list file, or its duplicates, or the distribution over copies changed."""
        old, new = _digests_by_direction(self.before), _digests_by_direction(self.after)
        if _without_digests(self.before) != _without_digests(self.after) or old.keys() != new.keys():
            return False
        try:
            return all(
                _same_keys(self._keys(old[which]), self._keys(new[which])) for which in old if old[which] != new[which]
            )
        except PingKillerError:
            return False

    def _keys(self, digests: list[str]) -> Iterator[bytes]:
        held = (self.packed.get(digest) or self.store.read_copy(self.name, digest) for digest in digests)
        return chain.from_iterable(map(copies.unpack, held))

    def write(self) -> None:
        """Write copies, then the note that names them, then remove other copies. So an interruption does no harm."""
        for digest, packed in self.packed.items():
            self.store.write_copy(self.name, digest, packed)
        if self.found != self.after:
            self.store.write(self.name, self.after)
        self.store.drop_copies(self.name, keep=set(chain.from_iterable(_digests_by_direction(self.after).values())))


def _digests_by_direction(note: EntriesNote) -> Digests:
    digests: Digests = defaultdict(list)
    for path, source in note.get("sources", {}).items():
        for digest, name in source.get("copies", {}).items():
            digests[path, name].append(digest)
    return digests


def _without_digests(note: EntriesNote) -> EntriesNote:
    """Return a note in which sources that name copies name none."""
    sources: dict[str, KeptSource] = {
        path: {**source, "copies": {}} if "copies" in source else source
        for path, source in note.get("sources", {}).items()
    }
    return {**note, "sources": sources}


def _same_keys(some: Iterable[bytes], others: Iterable[bytes]) -> bool:
    """Tell whether two rows differ at most in order and duplicates. Of a million keys, one set is enough."""
    left, right = set(some), list(others)
    same = all(map(left.__contains__, right))
    left.difference_update(right)
    return same and not left
