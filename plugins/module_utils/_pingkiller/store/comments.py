# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comments on the entries of lists: one for each claim that has one.

The comments map is the host's and serves all lists. Only user space reads it. It is made with the first comment, so that
entries without comments cost nothing.
"""

from __future__ import annotations

import array
import operator
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, compress, count

from ..entries import comments
from ..entries.claims import Claims
from ..entries.plan import Held
from ..kernel import bpf, schema
from . import limits, lost_pins
from .claim_keys import ClaimKey, unpacked
from .owners import SEVERAL, Owners
from .pins import Pins

_FEW = 64  #: entries whose comments are deleted one by one; for more, reading all comments is quicker


class Comments:
    """The comments on the entries of one list. Close them after use."""

    def __init__(self, pins: Pins, list_name: str, owners: Owners) -> None:
        self._pins, self._owners = pins, owners
        self._list_number = schema.LISTS.index(list_name)
        self._map = pins.open_map(pins.host_pin("comments"), schema.COMMENTS_MAP)

    def close(self) -> None:
        if self._map:
            self._map.close()

    # Reading

    def added_to(self, claims: Claims, key: bytes) -> Claims:
        """Return the claims on an entry with their comments."""
        return _commented(claims, self._of(key, claims))

    def divide(self, groups: list[Held], *, whole: bool) -> list[Held]:
        """Divide groups of entries with the same claims by the comments of these.

        With ``whole`` all comments are read at once, else those of each entry.
        """
        if self._map is None:
            return groups
        found = self._by_key() if whole else {}
        divided: list[Held] = []
        for held in groups:
            if not whole:
                each = ((key, self._of(key, held.claims)) for key in held.keys)
                found = {key: of_key for key, of_key in each if of_key}
            divided += _divided(held, found) if found else [held]
        return divided

    def _of(self, key: bytes, claims: Claims) -> dict[str, str]:
        """Return the comments on an entry, by the owner of their claim."""
        found: dict[str, str] = {}
        if self._map is None:
            return found
        for name in claims:
            value = self._map.lookup(self._packed(key, self._owners.numbers.get(name, SEVERAL)))
            if value is not None:
                found[name] = _text(value)
        return found

    def _by_key(self) -> dict[bytes, dict[str, str]]:
        """Return all comments on the list by the key of their entry. They include those that ``forget_strays`` would delete."""
        found: dict[bytes, dict[str, str]] = defaultdict(dict)
        for _packed, place, value in self._elements():
            found[place.key][self._owners.name(place.owner)] = _text(value)
        return found

    def _elements(self) -> Iterator[tuple[bytes, ClaimKey, bytes]]:
        """Yield the elements of this list: each key as it is packed and unpacked, and the value."""
        for packed, value in self._map.read_all() if self._map else ():
            place = unpacked(packed)
            if place.list_number == self._list_number:
                yield packed, place, value

    # Changing

    def check(self, gained: int) -> None:
        """Raise PingKillerError if the host has no room for this many more comments."""
        if gained > 0:
            keys = self._map.read_columns()[0] if self._map else b""
            limits.check_comments(gained + len(keys) // schema.CLAIM_KEY.size)

    def store(self, keys: list[bytes], claims: Claims) -> None:
        """Write the comments of claims on entries. Raises OSError if the kernel has no memory for them."""
        for name, claim in claims.items():
            if claim.comment:
                value = claim.comment.encode().ljust(schema.COMMENT_SIZE, b"\0")
                packed = b"".join(self._packed(key, self._owners.number(name)) for key in keys)
                self._made().update_many(packed, value * len(keys))

    def _made(self) -> bpf.Map:
        """Return the map, which is made if it does not exist yet."""
        if self._map is None:
            self._map = self._pins.ensure(self._pins.host_pin("comments"), schema.COMMENTS_MAP)
            lost_pins.bind_to_all(self._pins, self._map)
        return self._map

    def follow(self, key: bytes, claims: Claims) -> None:
        """Let the comments on an entry be those of its claims, and no others. Raises OSError as ``store`` does."""
        self.store([key], claims)
        for name, number in self._owners.numbers.items() if self._map else ():
            if self._map and not (name in claims and claims[name].comment):
                self._map.delete(self._packed(key, number))

    def forget(self, groups: list[list[bytes]]) -> None:
        """Delete all comments on entries, given by groups of their keys."""
        if self._map is None:
            return
        if sum(map(len, groups)) <= _FEW:
            for key in chain.from_iterable(groups):
                self.follow(key, {})
            return
        gone = set(chain.from_iterable(groups))
        self._map.delete_many(b"".join(packed for packed, place, _value in self._elements() if place.key in gone))

    def forget_strays(self, is_claimed: Callable[[bytes, int], bool]) -> None:
        """Delete the comments of claims that do not exist, as ``is_claimed`` says of an entry's key and an owner's number."""
        for packed, place, _value in self._elements():
            if self._map and not is_claimed(place.key, place.owner):
                self._map.delete(packed)

    def _packed(self, key: bytes, owner: int) -> bytes:
        return ClaimKey(self._list_number, key, owner).packed()


def _text(value: bytes) -> str:
    """Return the comment in an element. Somebody else may have written it, so it may be any bytes."""
    return comments.made_of(value.rstrip(b"\0").decode(errors="replace"))


def _commented(claims: Claims, found: Mapping[str, str]) -> Claims:
    return {name: claim._replace(comment=found.get(name, "")) for name, claim in claims.items()} if found else claims


def _divided(held: Held, found: Mapping[bytes, Mapping[str, str]]) -> Iterator[Held]:
    """Yield the entries of a group by their comments, which are given by key and owner; first those without comments."""
    has_any = bytes(map(found.__contains__, held.keys))
    without = array.array("I", compress(count(), map(operator.not_, has_any)))
    if without:
        yield held.at(without)
    positions: dict[tuple[tuple[str, str], ...], list[int]] = defaultdict(list)
    for position in compress(count(), has_any):
        positions[tuple(sorted(found[held.keys[position]].items()))].append(position)
    for alike, at in positions.items():
        yield held.at(at)._replace(claims=_commented(held.claims, dict(alike)))
