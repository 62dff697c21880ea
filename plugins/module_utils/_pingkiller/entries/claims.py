# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks for which entries, and what a change does to that. Nothing here touches the kernel.

Entries that the same owners want in the same way are handled together, so a million of them cost what their keys cost.
"""

from __future__ import annotations

import array
import operator
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, compress, repeat
from typing import NamedTuple

from .. import durations
from ..kernel import schema
from . import addresses, rows
from .wishes import Wanted, Wishes

#: What the owners of one entry ask for.
Claims = dict  # of str to Wanted; written out because Python 3.9 cannot subscript it in an alias used at run time


class Held(NamedTuple):
    """Entries of a list that are of one kind and have the same claims."""

    keys: list[bytes]
    slots: Sequence[int]  #: where each of them is
    untils: tuple[int, int]  #: in their records
    claims: Claims

    def at(self, positions: Sequence[int]) -> Held:
        return self._replace(
            keys=[self.keys[position] for position in positions],
            slots=[self.slots[position] for position in positions],
        )


class Change(NamedTuple):
    """What becomes of entries that were alike: on the list before with their claims, or not on it; no claims, and they go."""

    before: Held
    after: Claims

    @property
    def keys(self) -> list[bytes]:
        return self.before.keys

    @property
    def kind(self) -> str:
        return schema.KIND_OF_SIZE[len(self.keys[0])]


class Plan(NamedTuple):
    """What is to be done, and what was asked for but will not be."""

    added: list[Change]
    updated: list[Change]
    removed: list[Change]
    kept: list[Change]  #: entries that were to go, but nothing of them does

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


def count(changes: list[Change]) -> int:
    """The number of entries concerned."""
    return sum(len(change.keys) for change in changes)


class Demand(NamedTuple):
    """What one owner asks of a list."""

    wishes: Wishes
    owner: str
    absent: bool = False  #: the entries are to go, on the sides that they name
    exclusive: bool = False  #: the owner wants these and no others
    from_owner: str | None = None  #: who hands them over
    any_owner: bool = False  #: the entries are to go whoever wants them

    def applied_to(self, claims: Claims, wanted: Wanted | None) -> Claims:
        """What becomes of an entry's claims; ``wanted`` is None for an entry that was not asked for."""
        if wanted is None and not self.exclusive:
            return claims
        if self.absent:
            return self._without(claims, wanted.sides)
        giving_up = (self.owner,) if wanted is None else (self.owner, self.from_owner)
        left = {name: claim for name, claim in claims.items() if name not in giving_up}
        return left if wanted is None else {**left, self.owner: wanted}

    def _without(self, claims: Claims, sides: tuple[int, ...]) -> Claims:
        """What is left when the owner, or anybody, no longer wants these sides."""
        left = {}
        for name, claim in claims.items():
            gone = sides if self.any_owner or name == self.owner else ()
            kept = tuple(side for side in claim.sides if side not in gone)
            if kept:
                left[name] = claim._replace(sides=kept)
        return left


def make_plan(current: Iterable[Held], demand: Demand) -> Plan:
    """Compare; pure. ``current`` holds the entries that are asked for; with ``exclusive``, all of the list."""
    plan = Plan([], [], [], [])
    current = list(current)
    if not current:
        return plan if demand.absent else plan._replace(added=list(_additions(demand.wishes.distinct(), demand)))
    current, wishes, settled = _without_settled(current, demand)
    todo = wishes.by_key()
    for held in current:
        wanted = list(map(todo.pop, held.keys, repeat(None)))
        for value, chosen in _by_value(held, wanted, demand):
            _sort_in(plan, Change(chosen, demand.applied_to(held.claims, value)))
    if todo and not demand.absent:
        _exhaust(map(todo.pop, settled, repeat(None)))  # doubles
        plan.added.extend(_additions(todo, demand))
    return plan


def _without_settled(current: list[Held], demand: Demand) -> tuple[list[Held], Wishes, Iterator[bytes]]:
    """Leave out what is held as it is wanted, as far as that is quickly seen; these keys come last."""
    wishes = demand.wishes
    if demand.absent or demand.from_owner or wishes.others:
        return current, wishes, iter(())
    keys, rest, settled = by_size(wishes.keys), [], []
    for held in current:
        wanted = keys.get(len(held.keys[0]), [])
        if held.claims == {demand.owner: wishes.wanted}:
            pieces = list(rows.in_common(wanted, held.keys))
            settled += [wanted[start : start + length] for start, _there, length in pieces]
            ours = rows.gaps([(start, length) for start, _there, length in pieces], len(wanted))
            theirs = rows.gaps([(start, length) for _here, start, length in pieces], len(held.keys))
            keys[len(held.keys[0])] = [key for gap in ours for key in wanted[gap.start : gap.stop]]
            held = held.at(list(chain.from_iterable(theirs)))
        rest.append(held)
    left = list(chain.from_iterable(keys.values()))
    return [held for held in rest if held.keys], wishes._replace(keys=left), chain.from_iterable(settled)


def _by_value(held: Held, wanted: list[Wanted | None], demand: Demand) -> Iterator[tuple[Wanted | None, Held]]:
    """The entries by what is wanted of them, but for those of which something else than what is is not wanted."""
    others = demand.wishes.others
    values = set(wanted) if others else {None, demand.wishes.wanted}
    concerned = {value for value in values if value is not None or demand.exclusive}
    concerned = {value for value in concerned if demand.absent or demand.applied_to(held.claims, value) != held.claims}
    positions: dict[Wanted | None, array.array] = defaultdict(lambda: array.array("I"))
    if others:
        for position, value in enumerate(wanted):
            if value in concerned:
                positions[value].append(position)
    else:
        for value in concerned:
            chosen = map(operator.is_, wanted, repeat(value))
            positions[value] = array.array("I", compress(range(len(wanted)), chosen))
    whole = len(wanted)
    return ((value, held if len(found) == whole else held.at(found)) for value, found in positions.items() if found)


def _sort_in(plan: Plan, change: Change) -> None:
    if change.before.claims == change.after:
        plan.kept.append(change)
    elif change.after:
        plan.updated.append(change)
    else:
        plan.removed.append(change)


def _additions(todo: Collection[bytes], demand: Demand) -> Iterator[Change]:
    """``todo`` says what is wanted of each key only where that differs."""
    keys_by_value: dict[Wanted, list[bytes]] = defaultdict(list)
    if demand.wishes.others:
        for key, value in todo.items():
            keys_by_value[value].append(key)
    else:
        keys_by_value[demand.wishes.wanted] = list(todo)
    for value, keys in keys_by_value.items():
        for alike in by_size(keys).values():
            yield Change(Held(alike, (), (0, 0), {}), {demand.owner: value})


def by_size(keys: list[bytes]) -> dict[int, list[bytes]]:
    """The keys by their size, which tells their kind."""
    sizes = bytes(map(len, keys))
    if sizes.count(sizes[:1]) == len(sizes):
        return {sizes[0]: keys}
    return {size: list(compress(keys, map(size.__eq__, sizes))) for size in set(sizes)}


def _exhaust(iterator: Iterator) -> None:
    deque(iterator, maxlen=0)


def effective(claims: Claims) -> tuple[int, int]:
    """Each side's ``until``: the latest of those who want the entry to match there, 0 if nobody does."""
    source, destination = (
        max((claim.until for claim in claims.values() if side in claim.sides), default=0)
        for side in (schema.SOURCE, schema.DESTINATION)
    )
    return source, destination


def direction(sides: tuple[int, ...]) -> str:
    return next(name for name, value in schema.DIRECTIONS.items() if value == tuple(sides))


def describe(key: bytes, claims: Claims) -> list[str]:
    """An entry as lines of text, one for each owner."""
    address = addresses.display(key)
    return [
        f"{address} direction={direction(claims[owner].sides)} owner={owner}{_describe_expiry(claims[owner].until)}"
        for owner in sorted(claims)
    ]


def _describe_expiry(until: int) -> str:
    """By the wall clock, to the minute, since a prediction and its run are some seconds apart."""
    if until == schema.FOREVER:
        return ""
    seconds = time.time() + (until - durations.boot_time()) / 1e9
    return time.strftime(" until=%Y-%m-%dT%H:%MZ", time.gmtime(seconds))
