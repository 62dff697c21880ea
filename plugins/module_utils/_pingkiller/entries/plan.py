# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a change of a list: compare its entries with what an owner demands. Nothing here touches the kernel.

Entries with the same claims are handled together. So of a million entries only the keys are looked at one by one, in C.
"""

from __future__ import annotations

import array
import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, count, repeat
from typing import NamedTuple

from ..kernel import schema
from . import rows
from .addresses import by_size
from .claims import Claim, Claims
from .requested import RequestedEntries, grouped


class Held(NamedTuple):
    """Entries of a list that are of one kind and have the same claims."""

    keys: list[bytes]
    slots: Sequence[int]  #: the slot of each key
    untils: tuple[int, int]  #: the ends in their records, as source and as destination
    claims: Claims

    def at(self, positions: Sequence[int]) -> Held:
        """Return the entries at some positions, which are distinct and in ascending order."""
        if len(positions) == len(self.keys):
            return self
        return self._replace(
            keys=[self.keys[position] for position in positions],
            slots=[self.slots[position] for position in positions],
        )


class Change(NamedTuple):
    """The claims that entries get which had the same claims before.

    Entries that are not on the list yet had no claims. Entries that get no claims are removed.
    """

    before: Held
    after: Claims

    @property
    def keys(self) -> list[bytes]:
        return self.before.keys

    @property
    def kind(self) -> str:
        """The kind of the entries: one of ``schema.KINDS``."""
        return schema.KIND_OF_SIZE[len(self.keys[0])]


class Plan(NamedTuple):
    """The changes to make. A plan is true if it changes anything."""

    added: list[Change]
    updated: list[Change]
    removed: list[Change]
    staying: list[Change]  #: entries that were to be removed, but nothing of them goes

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


def joined(plans: Sequence[Plan]) -> Plan:
    """Return plans for different entries as one plan."""
    if len(plans) == 1:
        return plans[0]
    added, updated, removed, staying = (list(chain.from_iterable(parts)) for parts in zip(*plans))
    return Plan(added, updated, removed, staying)


def number_of_entries(changes: Iterable[Change]) -> int:
    """Return how many entries the changes concern."""
    return sum(len(change.keys) for change in changes)


def gained_comments(plan: Plan) -> int:
    """Return how many more comments a list has after a plan; fewer if it is negative."""
    changes = (*plan.added, *plan.updated, *plan.removed)
    return sum(len(change.keys) * (_comments(change.after) - _comments(change.before.claims)) for change in changes)


def _comments(claims: Claims) -> int:
    return sum(1 for claim in claims.values() if claim.comment)


class Demand(NamedTuple):
    """What one owner demands of a list."""

    requested: RequestedEntries
    owner: str
    absent: bool = False  #: remove the requested entries, on the sides that their claims name
    exclusive: bool = False  #: the owner is to have the requested entries and no others; with ``absent`` none at all
    from_owner: str | None = None  #: the owner that hands over the requested entries
    any_owner: bool = False  #: with ``absent``: remove the claims of all owners
    keeps_comments: bool = False  #: an entry that is requested without a comment keeps the one that it has

    def applied_to(self, claims: Claims, claim: Claim | None) -> Claims:
        """Return the new claims on an entry. ``claim`` is the one requested of it, None if the entry is not requested."""
        if claim is None:
            return _without_owners(claims, self.owner) if self.exclusive else claims
        if self.absent:
            return self._without_sides(claims, claim.sides)
        kept = self.kept_comment(claims) if self.keeps_comments and not claim.comment else claim.comment
        others = _without_owners(claims, self.owner, self.from_owner)
        return {**others, self.owner: claim._replace(comment=kept)}

    def kept_comment(self, claims: Claims) -> str:
        """Return the comment that the owner has on an entry, or takes over with it."""
        owners = (claims.get(name or "") for name in (self.owner, self.from_owner))
        return next((claim.comment for claim in owners if claim and claim.comment), "")

    def _without_sides(self, claims: Claims, sides: tuple[int, ...]) -> Claims:
        """Return the claims that are left when the owner, or every owner, gives up these sides."""
        left = {}
        for name, claim in claims.items():
            gone = sides if self.any_owner or name == self.owner else ()
            staying = tuple(side for side in claim.sides if side not in gone)
            if staying:
                left[name] = claim._replace(sides=staying)
        return left


def _without_owners(claims: Claims, *owners: str | None) -> Claims:
    return {name: claim for name, claim in claims.items() if name not in owners}


def make_plan(current: Iterable[Held], demand: Demand) -> Plan:
    """Plan what a demand changes on a list.

    ``current`` has at least the requested entries that are on the list; with ``exclusive``, all entries of the list.
    """
    plan = Plan(added=[], updated=[], removed=[], staying=[])
    for change in Comparison(current, demand).changes():
        if change.before.claims == change.after:
            plan.staying.append(change)
        elif not change.before.claims:
            plan.added.append(change)
        elif change.after:
            plan.updated.append(change)
        else:
            plan.removed.append(change)
    return plan


class Comparison:
    """The entries on a list, compared with what an owner demands of the list.

    An example: a list has A, B and C of the owner ``feed`` and D of the owner ``adhoc``, all with direction src. ``feed``
    demands with ``exclusive`` to have A, D and E with src and B with dst.

    === ================ ======================= ==============================================================
    key claims before    claims after            the key ends in
    === ================ ======================= ==============================================================
    A   feed: src        feed: src               no change: ``_set_unchanged_aside``
    B   feed: src        feed: dst               a change: ``_changes_of`` B and C, for the claim dst
    C   feed: src        none                    a change: ``_changes_of`` B and C, for no claim
    D   adhoc: src       adhoc: src, feed: src   a change: ``_changes_of`` D, for the claim src
    E   not on the list  feed: src               a change: ``_additions``, as no entry on the list has taken it
    === ================ ======================= ==============================================================
    """

    def __init__(self, current: Iterable[Held], demand: Demand) -> None:
        self._current = list(current)
        self._demand = demand
        self._requested = demand.requested
        self._unchanged: list[list[bytes]] = []  #: keys that are set aside
        if self._current and not (demand.absent or demand.from_owner or demand.requested.others):
            self._set_unchanged_aside()

    def _set_unchanged_aside(self) -> None:
        """Leave out entries with just the claim that is requested, as far as comparing long rows of keys finds them."""
        requested = by_size(self._requested.keys)
        for number, held in enumerate(self._current):
            if held.claims != {self._demand.owner: self._requested.usual}:
                continue
            size = len(held.keys[0])
            asked = requested.get(size, [])
            pieces = list(rows.in_common(asked, held.keys))
            self._unchanged += [asked[piece.ours.start : piece.ours.stop] for piece in pieces]
            gaps = rows.gaps([piece.ours for piece in pieces], len(asked))
            requested[size] = [key for gap in gaps for key in asked[gap.start : gap.stop]]
            gaps = rows.gaps([piece.theirs for piece in pieces], len(held.keys))
            self._current[number] = held.at(list(chain.from_iterable(gaps)))
        self._current = [held for held in self._current if held.keys]
        self._requested = self._requested._replace(keys=list(chain.from_iterable(requested.values())))

    def changes(self) -> Iterator[Change]:
        """Yield the changes to make. With ``absent``, also changes of requested entries that leave the claims as they are."""
        if not self._current and not self._unchanged:
            yield from self._additions(self._requested.distinct_by_claim())
            return
        missing = self._requested.by_key()
        for held in self._current:
            yield from self._changes_of(held, list(map(missing.pop, held.keys, repeat(None))))
        for duplicate in missing.keys() & chain.from_iterable(self._unchanged):
            del missing[duplicate]
        others = self._requested.others
        yield from self._additions(grouped(missing) if others else {self._requested.usual: list(missing)})

    def _changes_of(self, held: Held, claims: list[Claim | None]) -> Iterator[Change]:
        """Yield the changes of entries of which these claims are requested, grouped by the claim."""
        if self._requested.others:
            positions = _positions(claims, {claim for claim in set(claims) if self._matters(held.claims, claim)})
        else:
            either = filter(lambda claim: self._matters(held.claims, claim), (None, self._requested.usual))
            positions = {claim: _positions_of_one(claims, claim) for claim in either}
        for claim, found in positions.items():
            if found:
                yield Change(held.at(found), self._demand.applied_to(held.claims, claim))

    def _matters(self, claims: Claims, claim: Claim | None) -> bool:
        """Tell whether entries with these claims, and with this one requested, belong into the plan."""
        to_go = self._demand.absent and claim is not None
        return to_go or self._demand.applied_to(claims, claim) != claims

    def _additions(self, keys_by_claim: dict[Claim, list[bytes]]) -> Iterator[Change]:
        for claim, keys in keys_by_claim.items() if not self._demand.absent else ():
            for alike in by_size(keys).values():
                yield Change(Held(keys=alike, slots=(), untils=(0, 0), claims={}), {self._demand.owner: claim})


def _positions(claims: list[Claim | None], mattering: set[Claim | None]) -> dict[Claim | None, array.array[int]]:
    """Return the positions of the claims that matter, by claim."""
    found: dict[Claim | None, array.array[int]] = {claim: array.array("I") for claim in mattering}
    for position, claim in enumerate(claims):
        if claim in mattering:
            found[claim].append(position)
    return found


def _positions_of_one(claims: list[Claim | None], claim: Claim | None) -> array.array[int]:
    """Return the positions of one object among the claims: where all are alike, they are one object."""
    return array.array("I", compress(count(), map(operator.is_, claims, repeat(claim))))
