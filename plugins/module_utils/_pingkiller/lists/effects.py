# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a planned change of a list will really do, where that may surprise the user.

All of this is found before the change, so that a prediction says the same as the run. The number of sentences is bounded,
however long the list is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..entries.claims import direction, effective
from ..entries.plan import Change, Demand, Plan, number_of_entries
from ..kernel import schema
from ..store import entry_list
from ..store.entry_list import EntryList
from ..store.list_reader import MANY
from ..store.pins import Pins
from .covering import Asked, covering, described, in_order
from .filter_effects import of_filters
from .own_addresses import own_addresses
from .predicted_list import PredictedList
from .request import Foreseen

_SENTENCES = 3  #: of one sort


class PlannedChange(NamedTuple):
    """A plan for a list, and what it was made from."""

    name: str  #: of the list
    demand: Demand
    plan: Plan
    entries: EntryList | None  #: the list before the change; None on a host that has no lists
    foreseen: Foreseen = Foreseen()  #: in a prediction
    allowlist: PredictedList | None = None  #: in a prediction, the allowlist if it will have changed by then


def foresee(pins: Pins, change: PlannedChange) -> list[str]:
    """Return sentences that tell the user about a planned change."""
    said = of_filters(pins, change.name, change.demand, foreseen=change.foreseen)
    if change.demand.absent:
        return [*said, *_still_listed(change), *_back_soon(change), *_still_covered(pins, change)]
    said += [*_emptied(change), *_lessened(change)]
    if change.name == schema.BLOCKLIST:
        said += _allowed_anyway(pins, change)
    return [*said, *of_demand(change.name, change.demand)]


def of_demand(name: str, demand: Demand) -> list[str]:
    """Return sentences about a demand that are true whatever is on the host's lists."""
    return [*_everybody(demand), *_own(demand)] if name == schema.BLOCKLIST else []


def _told(found: dict[str, list[bytes]]) -> list[str]:
    """Return sentences, from what there is to say and the keys of which it is said."""
    sentences = [f"{addresses.names(keys)}: {saying}" for saying, keys in list(found.items())[:_SENTENCES]]
    more = sum(map(len, found.values())) - sum(map(len, list(found.values())[:_SENTENCES]))
    return [*sentences, f"and for other reasons {more} more"] if more else sentences


def _of_changes(changes: Iterable[Change], saying: Callable[[Change], str | None]) -> list[str]:
    """Return sentences with what ``saying`` says of the changes; None says nothing."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for change in changes:
        said = saying(change)
        if said:
            found[said] += change.keys
    return _told(found)


# Entries that stay in force though they were to be removed


def _still_listed(planned: PlannedChange) -> list[str]:
    name, demand, plan = planned.name, planned.demand, planned.plan

    def saying(change: Change) -> str | None:
        others = sorted(set(change.after) - {demand.owner})
        if others and not demand.any_owner:
            return f"still on the {name} for {', '.join(others)}; name the owner to remove it, or set any_owner=true"
        sides = {side for claim in change.after.values() for side in claim.sides}
        if sides:
            return f"still on the {name} with direction={direction(sorted(sides))}, which was not named"
        return None

    return _of_changes([*plan.staying, *plan.updated], saying)


def _back_soon(planned: PlannedChange) -> list[str]:
    def saying(change: Change) -> str | None:
        others = sorted(set(change.before.claims) - set(change.after) - {planned.demand.owner})
        return f"was there for {', '.join(others)}, too, and comes back when they ask for it again" if others else None

    return _of_changes([*planned.plan.removed, *planned.plan.updated], saying)


def _still_covered(pins: Pins, planned: PlannedChange) -> list[str]:
    entries, plan = planned.entries, planned.plan
    if entries is None or entries.empty:
        return []
    asked = _looked_at(planned)
    changing = set(chain.from_iterable(change.keys for change in (*plan.removed, *plan.updated)))
    covered = covering(entries, asked, without=changing, itself=False)
    blocking = entries.name == schema.BLOCKLIST
    if blocking and covered:
        allowed = _allowed(pins, asked)
        covered = {cover: [key for key in keys if key not in allowed] for cover, keys in covered.items()}
    way_out = "let it pass with xdp_allowlist, or remove that" if blocking else "remove that, too"
    verb = "blocked" if blocking else "let through"
    return _told(
        {f"still {verb} by {described(entries, cover)}; {way_out}": keys for cover, keys in in_order(covered) if keys}
    )


def _allowed(pins: Pins, asked: list[Asked]) -> set[bytes]:
    """Return the keys that the allowlist covers."""
    with entry_list.opened_list(pins, schema.ALLOWLIST) as entries:
        return set() if entries is None else set(chain.from_iterable(covering(entries, asked).values()))


# Entries that have no effect, or another one


def _emptied(planned: PlannedChange) -> list[str]:
    demand = planned.demand
    gone = number_of_entries(planned.plan.removed) + number_of_entries(planned.plan.updated)
    if demand.requested.keys or not demand.exclusive or not gone:
        return []
    return [f"the list that was given is empty, so all that {demand.owner} has on the {planned.name} goes: {gone}"]


def _lessened(planned: PlannedChange) -> list[str]:
    """Tell of entries that lose a direction or end earlier. With ``exclusive`` that is what was asked for."""

    def saying(change: Change) -> str | None:
        before, after = change.before.untils, effective(change.after)
        lost = [side for side in (schema.SOURCE, schema.DESTINATION) if before[side] > now and not after[side]]
        if lost:
            return f"no longer holds for direction={direction(lost)}; direction=both keeps both"
        if any(later > now and later > sooner for later, sooner in zip(before, after)):
            return "held for longer, and now ends with its ttl; ask for it without ttl to have it back"
        return None

    now = durations.boot_time()
    return [] if planned.demand.exclusive else _of_changes(planned.plan.updated, saying)


def _allowed_anyway(pins: Pins, planned: PlannedChange) -> list[str]:
    with entry_list.opened_list(pins, schema.ALLOWLIST) as present:
        entries = planned.allowlist or present
        if entries is None or entries.empty:
            return []
        covered = covering(entries, _looked_at(planned))
        return _told(
            {
                f"not dropped, since {described(entries, cover)} wins over the blocklist": keys
                for cover, keys in in_order(covered)
            }
        )


def _everybody(demand: Demand) -> list[str]:
    whole = {addresses.parse("0.0.0.0/0"), addresses.parse("::/0")}.intersection(demand.requested.keys)
    return [
        f"{addresses.display(key)} is everybody: all ICMP but the protected types is blocked, except for the allowlist"
        for key in sorted(whole)
    ]


def _own(demand: Demand) -> list[str]:
    around = {
        addresses.network(address, length) for address in own_addresses() for length in range(1, len(address) * 8 + 1)
    }
    found = sorted(around.intersection(demand.requested.keys), key=addresses.sort_key)
    said = "covers an address of this host, so its neighbours may lose all ICMP with it but the protected types"
    return _told({said: found} if found else {})


def _looked_at(planned: PlannedChange) -> list[Asked]:
    """Return the requested keys by sides. Of many only those that change, so that repeating a sync costs little."""
    demand, plan, requested = planned.demand, planned.plan, planned.demand.requested
    if len(requested.keys) > MANY:
        given = [change for change in (*plan.added, *plan.updated) if demand.owner in change.after]
        changes = [*plan.updated, *plan.removed] if demand.absent else given
        return [Asked(change.keys, change.after.get(demand.owner, requested.usual).sides) for change in changes]
    by_sides: dict[tuple[int, ...], list[bytes]] = defaultdict(list)
    for key, claim in requested.by_key().items():
        by_sides[claim.sides].append(key)
    return [Asked(keys, sides) for sides, keys in by_sides.items()]
