# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the entries of a list.

An entry is held by one owner or by several. With one owner, the record has the owner's number and what that owner asks
for. With several, the record has what follows from all claims, each side's latest ``until``; ``shared_claims`` has the
claims themselves.
"""

from __future__ import annotations

import array
import heapq
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..entries.claims import Claim, Claims
from ..entries.plan import Held
from ..kernel import schema
from .list_maps import ListMaps
from .owners import SEVERAL
from .records import Alike, Signature
from .repair import strays

_FEW = 3  #: stretches of the table
MANY = 1000  #: for more keys than this, reading all of a list is quicker than looking up each key


class ListReader(ListMaps):
    """One list of the host, opened for reading. Takes no lock, so entries may come and go meanwhile."""

    _damaged = False  #: whether ``compare`` has found that indexes and counts disagree

    @property
    def count(self) -> int:
        """The number of entries that have not expired."""
        if self.dirty:
            return sum(len(slots) for _signature, slots in self.live())
        return self.control.count(self.name) - sum(len(slots) for _signature, slots in self._expired())

    @property
    def empty(self) -> bool:
        """Whether the list has no entries, not even expired ones."""
        return not self.control.count(self.name)

    @property
    def dirty(self) -> bool:
        """Whether records and indexes may disagree: a change was interrupted, or ``compare`` has found it."""
        return self._damaged or self.control.is_dirty(self.name)

    def compare(self, most: int) -> None:
        """Find out whether somebody else changed the indexes. Skipped for lists of more than ``most`` entries."""
        counted = {kind: self.control.count(self.name, kind) for kind in schema.KINDS}
        if not self.dirty and sum(counted.values()) <= most:
            self._damaged = any(self.indexes.count(kind) != number for kind, number in counted.items())

    # Reading

    def owners(self, key: bytes) -> list[str]:
        """Return the owners of the entry of exactly this address or network; none if it is not on the list."""
        slot = self.slot_of(key)
        return [] if slot is None else sorted(self.claims(slot))

    def around(self, key: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """Return the entries that cover all of an address or network, the narrowest first, the entry itself included.

        Each has its key and the end of its match on each side.
        """
        address, length = addresses.split(key)
        exact = self.slot_of(key) if len(key) == len(address) else None
        if exact is not None:
            yield key, self.records.untils(exact)
        while length >= 0:
            slot = self.indexes.find_around(address, length)
            found = self.records.key(slot) if slot is not None and slot < self.capacity else None
            # If somebody else wrote to the index, it can have any slot.
            if slot is None or found is None or addresses.split(found)[1] > length:
                return
            yield found, self.records.untils(slot)
            length = addresses.split(found)[1] - 1

    def inside(self, key: bytes) -> Iterator[tuple[bytes, int]]:
        """Return the entries inside of a network that have not expired, without the network itself, each with its slot.

        Reads the whole list.
        """
        address, length = addresses.split(key)
        size = len(address)
        last = (int.from_bytes(address, "big") | (1 << (size * 8 - length)) - 1).to_bytes(size, "big")
        for signature, slots in self.live():
            family = 4 if signature.kind.endswith("4") else 16
            if family == size and signature.prefix_length > length:
                for inner, slot in zip(self.records.keys(signature, slots), slots):
                    if address <= inner[-size:] <= last:
                        yield inner, slot

    def covers(self) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """Return all entries, each as ``around`` does."""
        return ((key, held.untils) for held in self.held() for key in held.keys)

    def alike(self) -> Iterator[Alike]:
        """Return all entries, expired ones included, by stretches of the table that are alike."""
        if not self.dirty:
            yield from self.records.alike(self.control.count(self.name))
            return
        indexed = None
        for number, alike in enumerate(self.records.alike()):
            if number == _FEW:  # the caller wants more than a few: reading the indexes whole is quicker now
                indexed = self.indexes.read()
            astray = strays(self.records, alike, indexed[alike.signature.kind].get if indexed else self.slot_of)
            left = [slot for slot in alike.slots if slot not in astray]
            if left:
                yield Alike(alike.signature, left)

    def slots(self) -> Iterator[int]:
        """Return the slots of all entries, expired ones included."""
        return chain.from_iterable(slots for _signature, slots in self.alike())

    def live(self) -> Iterator[Alike]:
        """Return the entries that have not expired, as ``alike`` does."""
        now = durations.boot_time()
        return (alike for alike in self.alike() if max(alike.signature.untils) > now)

    def _expired(self) -> Iterator[Alike]:
        if not self.control.has_timed(self.name):
            return iter(())
        now = durations.boot_time()
        return (alike for alike in self.alike() if max(alike.signature.untils) <= now)

    def top(self, number: int) -> list[int]:
        """Return the slots of the entries that matched the most packets, the busiest first."""
        in_use = None if self.dirty else self.control.count(self.name)
        expired = {slot for _signature, slots in self._expired() for slot in slots}
        busy = (found for found in self.records.busy(in_use) if found[0] not in expired)
        return [slot for slot, _packets in heapq.nlargest(number, busy, key=operator.itemgetter(1))]

    # Who asks for what

    def claims(self, slot: int) -> Claims:
        """Return the claims on an entry that have not expired."""
        signature = self.records.signature(slot)
        if signature is None:  # another run has removed it
            return {}
        (key,) = self.records.keys(signature, (slot,))
        several = signature.owner == SEVERAL
        claims = _unexpired(self.shared_claims.of(key)) if several else self._one_claim(signature)
        return self.comments.added_to(claims, key)

    def _one_claim(self, signature: Signature) -> Claims:
        """Return the claim on entries that have one owner."""
        sides = tuple(side for side, until in enumerate(signature.untils) if until)
        return _unexpired({self.known_owners.name(signature.owner): Claim(sides, max(signature.untils))})

    def held(self, keys: Iterable[bytes] | None = None) -> list[Held]:
        """Return the entries of these keys, by default all entries, grouped by their claims."""
        if keys is None:
            found, shared = self.live(), self.shared_claims.by_key()
            groups = self._gathered(found, lambda key: shared.get(key, {}))
        else:
            groups = self._gathered(self._looked_up(keys), self.shared_claims.of)
        return self.comments.divide(groups, whole=keys is None)

    def _looked_up(self, keys: Iterable[bytes]) -> Iterator[Alike]:
        for slot in map(self.slot_of, keys):
            signature = None if slot is None else self.records.signature(slot)
            if slot is not None and signature is not None:
                yield Alike(signature, (slot,))

    def _gathered(self, found: Iterable[Alike], shared_claims: Callable[[bytes], Claims]) -> list[Held]:
        gathering = _Gathering()
        for signature, slots in found:
            keys = self.records.keys(signature, slots)
            if signature.owner != SEVERAL:
                gathering.add(keys, slots, untils=signature.untils, claims=self._one_claim(signature))
                continue
            for key, slot in zip(keys, slots):
                claims = _unexpired(shared_claims(key))
                gathering.add((key,), (slot,), untils=signature.untils, claims=claims)
        return gathering.held()


class _Group(NamedTuple):
    keys: list[bytes]
    slots: array.array[int]
    untils: tuple[int, int]
    claims: Claims


class _Gathering:
    """Puts entries of the same kind together that have the same ends and claims."""

    def __init__(self) -> None:
        self._groups: dict[tuple[object, ...], _Group] = {}

    def add(self, keys: Sequence[bytes], slots: Sequence[int], *, untils: tuple[int, int], claims: Claims) -> None:
        alike = len(keys[0]), untils, tuple(sorted(claims.items()))
        group = self._groups.get(alike)
        if group is None:
            group = self._groups[alike] = _Group([], array.array("I"), untils, claims)
        group.keys.extend(keys)
        group.slots.extend(slots)

    def held(self) -> list[Held]:
        """Return the groups; entries that nobody claims any more are left out."""
        return [Held(*group) for group in self._groups.values() if group.claims]


def _unexpired(claims: Claims) -> Claims:
    now = durations.boot_time()
    return {name: claim for name, claim in claims.items() if claim.until > now}
