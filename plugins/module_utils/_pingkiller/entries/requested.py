# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries that are requested of a list: their keys, and the claim that is made on each of them."""

from __future__ import annotations

import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..kernel import schema
from .addresses import names
from .claims import Claim


class OtherClaims:
    """The claims on the keys at some positions, where they differ from the usual claim.

    A position takes 13 bytes, and more only if its claim has a comment.
    """

    _SIDES = tuple(schema.DIRECTIONS.values())

    def __init__(self, items: Iterable[tuple[int, Claim]] = ()) -> None:
        self.positions, self._sides, self._untils = array.array("I"), array.array("B"), array.array("Q")
        self._comments: dict[int, str] = {}  #: by position
        for position, claim in items:
            self.add(position, claim)

    def add(self, position: int, claim: Claim, number: int = 1) -> None:
        """Add a claim on ``number`` keys from a position on. It is behind all positions that were added before."""
        self.positions.extend(range(position, position + number))
        self._sides.extend(array.array("B", [self._SIDES.index(claim.sides)]) * number)
        self._untils.extend(array.array("Q", [claim.until]) * number)
        if claim.comment:
            self._comments.update(dict.fromkeys(range(position, position + number), claim.comment))

    def __len__(self) -> int:
        return len(self.positions)

    def items(self) -> Iterator[tuple[int, Claim]]:
        """Yield the positions in ascending order, with their claims. Equal claims are one object."""
        known: dict[tuple[int, int, str], Claim] = {}
        for position, sides, until in zip(self.positions, self._sides, self._untils):
            comment = self._comments.get(position, "") if self._comments else ""
            claim = known.get((sides, until, comment))
            if claim is None:
                claim = known[sides, until, comment] = Claim(self._SIDES[sides], until, comment)
            yield position, claim

    def sides(self) -> set[int]:
        """Return all sides that any of the claims names."""
        return {side for number in set(self._sides) for side in self._SIDES[number]}


class RequestedEntries(NamedTuple):
    """Entries in the order in which they were requested. They are stored as keys, so that a million of them stay cheap."""

    keys: list[bytes]  #: may have duplicates; all duplicates of a key have the same claim: see ``merge_duplicates``
    usual: Claim  #: the claim on every key that is not at a position of ``others``
    others: OtherClaims = OtherClaims()
    skipped: int = 0  #: how many lines were left out because they are no entries
    notes: tuple[str, ...] = ()  #: sentences about how the entries were read, for the user

    def claims(self) -> list[Claim]:
        """Return the claim on each of the keys."""
        found = [self.usual] * len(self.keys)
        for position, claim in self.others.items():
            found[position] = claim
        return found

    def by_key(self) -> dict[bytes, Claim]:
        """Return the claims by key, without duplicates."""
        return dict(zip(self.keys, self.claims())) if self.others else dict.fromkeys(self.keys, self.usual)

    def by_claim(self) -> dict[Claim, list[bytes]]:
        """Return the keys by claim. Duplicates stay if all claims are the same."""
        return grouped(self.by_key()) if self.others else {self.usual: self.keys}

    def distinct_by_claim(self) -> dict[Claim, list[bytes]]:
        """Return the keys by claim, without duplicates."""
        # Making a set takes half the time of making a dictionary, and duplicates are rare.
        if self.others or len(set(self.keys)) == len(self.keys):
            return self.by_claim()
        return {self.usual: list(dict.fromkeys(self.keys))}

    @classmethod
    def of(cls, groups: Sequence[tuple[Claim, list[bytes]]]) -> RequestedEntries:
        """Make them of keys grouped by claim: at least one group, and no key in two of them. The inverse of ``by_claim``."""
        keys: list[bytes] = []
        others = OtherClaims()
        usual = groups[0][0]
        for claim, alike in groups:
            if claim != usual:
                others.add(len(keys), claim, len(alike))
            keys += alike
        return cls(keys, usual, others)


def grouped(claims: dict[bytes, Claim]) -> dict[Claim, list[bytes]]:
    """Return the keys by claim, from the claims by key."""
    found = defaultdict(list)
    for key, claim in claims.items():
        found[claim].append(key)
    return dict(found)


def merge_duplicates(requested: RequestedEntries) -> RequestedEntries:
    """Give all duplicates of a key one claim, with the directions of all, the latest end and the first comment.

    Note keys that were asked for in different ways. The note says nothing of comments, since nothing is lost with one.
    """
    if not requested.others or len(set(requested.keys)) == len(requested.keys):
        return requested
    keys = requested.keys
    duplicated = {key for key, number in Counter(keys).items() if number > 1}
    duplicated.intersection_update(map(keys.__getitem__, requested.others.positions))
    merged: dict[bytes, Claim] = {}
    differing, noted = set(), set()
    for key, claim in zip(keys, requested.claims()):
        if key in duplicated and merged.setdefault(key, claim) != claim:
            if merged[key][:2] != claim[:2]:
                noted.add(key)
            merged[key] = _merged(merged[key], claim)
            differing.add(key)
    if not differing:
        return requested
    claims = enumerate(merged[key] if key in differing else claim for key, claim in zip(keys, requested.claims()))
    others = OtherClaims((position, claim) for position, claim in claims if claim != requested.usual)
    notes = (_merge_note(noted),) if noted else ()
    return requested._replace(others=others, notes=(*requested.notes, *notes))


def _merged(one: Claim, other: Claim) -> Claim:
    sides = tuple(sorted({*one.sides, *other.sides}))
    return Claim(sides, max(one.until, other.until), one.comment or other.comment)


def _merge_note(differing: Collection[bytes]) -> str:
    return (
        f"more than one line asks for {names(differing)}, in different ways: for good wins over a ttl, a longer ttl over "
        f"a shorter one, and directions add up"
    )
