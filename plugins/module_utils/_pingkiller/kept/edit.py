# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planned change of one kept file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from ..errors import PingKillerError, quoted
from . import copies
from .directory import REMEDY, Broken, Store


class Edit(NamedTuple):
    """A change of one file, planned. It is true if it changes what will be restored."""

    store: Store
    name: str
    found: dict | None  #: what the file holds; None if that is not to be understood
    before: dict  #: the same without what will not be restored, as it has expired or its copy is not whole
    after: dict
    packed: dict[str, bytes] = {}  #: by digest, copies that ``after`` names and that are not there whole

    def __bool__(self) -> bool:
        return self.found is None or self.before != self.after

    def write(self) -> None:
        if self.found != self.after:
            self.store.write(self.name, self.after)


class EntriesEdit(Edit):
    """The same for a file that names copies."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return super().__bool__() and not (self.found and self.before and self.after and self._same_entries())

    def _same_entries(self) -> bool:
        """Whether only the order of a list file changed, its doubles, or which of its copies holds what."""
        (before, old), (after, new) = map(_by_direction, (self.before, self.after))
        if before != after or old.keys() != new.keys():
            return False
        try:
            return all(
                _same_keys(self._keys(old[each]), self._keys(new[each])) for each in old if old[each] != new[each]
            )
        except PingKillerError:
            return False

    def _keys(self, digests: list[str]) -> Iterator[bytes]:
        held = (self.packed.get(digest) or self.store.read_copy(self.name, digest) for digest in digests)
        return chain.from_iterable(map(copies.unpack, held))

    def write(self) -> None:
        """Copies, the note that names them, and only then the removal of others: right whenever this is interrupted."""
        for digest, packed in self.packed.items():
            self.store.write_copy(self.name, digest, packed)
        super().write()
        self.store.drop_copies(self.name, _digests(self.after))


def _by_direction(content: dict) -> tuple[dict, dict[tuple[str, str], list[str]]]:
    """A note without its digests, and these by list file and direction."""
    digests: dict[tuple[str, str], list[str]] = defaultdict(list)
    sources = {}
    for path, about in content.get("sources", {}).items():
        for digest, name in about.get("copies", {}).items():
            digests[path, name].append(digest)
        sources[path] = {**about, "copies": "copies" in about}
    return {**content, "sources": sources}, digests


def _same_keys(some: Iterable[bytes], others: Iterable[bytes]) -> bool:
    """Whether these are the same but for order and doubles; of a million keys one set is enough."""
    left, others = set(some), list(others)
    same = all(map(left.__contains__, others))
    left.difference_update(others)
    return same and not left


def understood(read, *arguments) -> dict | None:
    try:
        return read(*arguments)
    except Broken:
        return None


def read_checked(store: Store, name: str, check: Callable[[dict], None]) -> dict:
    """What a file holds. Raises Broken if that is not of the shape that PingKiller writes, whatever it is."""
    content = store.read(name)
    try:
        check(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {quoted(str(error))}"  # Python may quote half of the file
        raise Broken(f"{store.path(name)} is not as PingKiller writes it ({what}): {REMEDY}") from None
    return content


def is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _digests(content: dict) -> set[str]:
    return {digest for about in content.get("sources", {}).values() for digest in about.get("copies", ())}
