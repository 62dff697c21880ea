# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocklist and the allowlist: open a list, and change its entries by a plan."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from itertools import chain

from .. import durations
from ..entries.claims import Claims, effective
from ..entries.plan import Change, Held, Plan, gained_comments, number_of_entries
from ..errors import PingKillerError
from ..kernel import schema
from . import limits
from .host_maps import opened
from .list_reader import ListReader
from .owners import SEVERAL
from .pins import Pins
from .repair import repair


class EntryList(ListReader):
    """One list of the host, opened. Changing it takes the host's lock; reading does not."""

    def __enter__(self) -> EntryList:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def settle(self, anew: bool = False) -> None:
        """Prepare for a change: repair what an interrupted change left, and remove expired entries.

        With ``anew``, repair the list even if nothing says that a change was interrupted.
        """
        if anew or self.dirty:
            with self.control.changing(self.name):
                repair(self)
            self._damaged = False
        expired = [
            Change(Held(self.records.keys(signature, slots), slots, signature.untils, {}), {})
            for signature, slots in self._expired()
        ]
        if expired:
            with self.control.changing(self.name):
                self._remove(expired)

    def require_room(self, plan: Plan, capacity: int | None = None) -> None:
        """Raise PingKillerError if the list cannot hold its entries after a plan.

        ``capacity`` is the list's capacity by then, if it will be another one than now.
        """
        entries = self.count + number_of_entries(plan.added) - number_of_entries(plan.removed)
        limits.check_capacity(self.name, entries, capacity or self.capacity)
        added = limits.ipv6_lengths(plan.added)
        if added:
            left = self.records.prefix_lengths("network6") + added - limits.ipv6_lengths(plan.removed)
            limits.check_prefix_lengths(self.name, left)
        self.known_owners.check({owner for change in plan.added + plan.updated for owner in change.after})
        shared = [change for change in plan.updated if len(change.after) > 1]
        self.shared_claims.check(sum(len(change.after) * len(change.keys) for change in shared))
        self.comments.check(gained_comments(plan))

    def apply(self, plan: Plan) -> None:
        """Add, then update, then remove entries, so that what stays blocked is blocked throughout. Call ``settle`` before.

        If the list cannot hold the old and the new entries together, some removals come first: as many as needed,
        addresses before networks. Raises PingKillerError, and adds nothing, if the kernel has no memory for the entries.
        """
        self.require_room(plan)
        removals = sorted(plan.removed, key=lambda change: change.kind.startswith("network"))
        early, late = _divided(removals, self._early_removals(plan))
        with self.control.changing(self.name):
            self._remove(early)
            self._add(plan.added)
            for change in plan.updated:
                self._update(change)
            self._remove(late)

    def _early_removals(self, plan: Plan) -> int:
        """Return how many entries have to be removed before the additions fit."""
        added = limits.ipv6_lengths(plan.added)
        if added and len(self.records.prefix_lengths("network6") + added) > schema.MAX_PREFIX_LENGTHS:
            return number_of_entries(plan.removed)
        return max(0, self.count + number_of_entries(plan.added) - self.capacity)

    def _add(self, changes: list[Change]) -> None:
        free = deque(self.records.free_slots(number_of_entries(changes)))
        try:
            for change in changes:
                (owner,), untils = change.after, effective(change.after)
                self.comments.store(change.keys, change.after)  # first, as a kill may leave it without an entry
                slots = _taken(free, len(change.keys))
                number = self.known_owners.number(owner)
                self.records.fill(slots, change.keys, untils=untils, owner=number, since=durations.boot_time())
                self.control.add(self.name, change.kind, untils=untils, number=len(change.keys))
                self.indexes.add(change.kind, change.keys, chain.from_iterable(slots))
        except OSError as error:
            for change in changes:
                self.indexes.remove(change.kind, change.keys)
            repair(self)
            raise PingKillerError(
                f"the kernel refused {number_of_entries(changes)} entries for the {self.name} ({error.strerror}): none of "
                f"them was added"
            ) from error

    def _update(self, change: Change) -> None:
        after, number = effective(change.after), len(change.keys)
        # In this order, the filter always looks on each side on which an entry matches.
        self.control.add_matching(self.name, change.kind, untils=after, number=number)
        for key, slot in zip(change.keys, change.before.slots):
            self._store_claims(key, slot, claims=change.after, untils=after)
            self.comments.follow(key, change.after)
        self.control.add_matching(self.name, change.kind, untils=change.before.untils, number=-number)

    def _remove(self, changes: list[Change]) -> None:
        for change in changes:
            self.indexes.remove(change.kind, change.keys)
            for key, owner in zip(change.keys, self.records.owners(change.before.slots)):
                if owner == SEVERAL:
                    self.shared_claims.forget(key)
            self.records.free(change.before.slots)
            self.control.add(self.name, change.kind, untils=change.before.untils, number=-len(change.keys))
        self.comments.forget([change.keys for change in changes])

    def _store_claims(self, key: bytes, slot: int, *, claims: Claims, untils: tuple[int, int]) -> None:
        """Bring an entry's record and its shared claims up to date.

        In this order, a kill leaves too many shared claims, but never a record of several owners without theirs.
        """
        shared = claims if len(claims) > 1 else {}
        had_several = self.records.owner(slot) == SEVERAL
        self.shared_claims.store(key, shared)
        self.records.edit(slot, untils, SEVERAL if shared else self.known_owners.number(next(iter(claims))))
        if had_several:
            self.shared_claims.forget(key, but=shared)

    def copy_from(self, other: EntryList) -> None:
        """Fill this empty list with the entries of ``other``, their counters at zero.

        Both lists have the same number of entries, so the control map is left alone.
        """
        free = deque([range(self.capacity)])
        for signature, slots in other.alike():
            for since, alike in other.records.by_since(slots).items():
                keys, new = other.records.keys(signature, alike), _taken(free, len(alike))
                self.records.fill(new, keys, untils=signature.untils, owner=signature.owner, since=since)
                self.indexes.add(signature.kind, keys, chain.from_iterable(new))


@contextlib.contextmanager
def opened_list(pins: Pins, name: str) -> Iterator[EntryList | None]:
    """Open one list; None on a host that has no lists."""
    with opened(pins) as host:
        if host is None:
            yield None
            return
        with EntryList(pins, name, host) as entries:
            yield entries


def _taken(free: deque[range], number: int) -> list[range]:
    """Take ``number`` slots off the free stretches."""
    taken = []
    while number:
        stretch = free.popleft()
        taken.append(stretch[:number])
        if len(stretch) > number:
            free.appendleft(stretch[number:])
        number -= len(taken[-1])
    return taken


def _divided(changes: list[Change], number: int) -> tuple[list[Change], list[Change]]:
    """Divide changes into those of the first ``number`` entries, and the rest."""
    first: list[Change] = []
    rest: list[Change] = []
    for change in changes:
        entries, here = range(len(change.keys)), max(0, number - number_of_entries(first))
        for part, positions in ((first, entries[:here]), (rest, entries[here:])):
            if positions:
                part.append(change._replace(before=change.before.at(positions)))
    return first, rest
