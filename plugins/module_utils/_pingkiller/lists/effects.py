# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of a list will in fact do, for whoever believes that it does what it says.

All of it is found before the change, so that a prediction says what the run says. Sentences are few, however long the
list is, and what they cost is bounded: of a few entries each is looked up, of many only those that change.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, repeat

from .. import durations
from ..entries import addresses, claims
from ..entries.claims import Change, Demand, Plan
from ..kernel import netlink, schema
from ..store import entry_list, filter_meta, filter_programs, hooks
from ..store.entry_list import EntryList
from ..store.pins import Pins
from .foreseen import Foreseen, ListToCome

MANY = 1000  #: entries, from which on to look at all of a list is quicker than to look each of them up
_SENTENCES = 3  #: of one sort

#: Keys that are asked for, together those with the same sides.
AskedKeys = list[tuple[list[bytes], tuple[int, ...]]]

#: linux/if_addr.h; the message has family, prefix length, flags, scope, index.
_ADDRESS_MESSAGE = struct.Struct("=BBBBI")
_RTM_GETADDR, _IFA_ADDRESS, _IFA_LOCAL, _SCOPE_HOST = 22, 1, 2, 254


def foresee(
    pins: Pins,
    name: str,
    demand: Demand,
    plan: Plan,
    entries: EntryList | None,
    foreseen: Foreseen = Foreseen(),
    allowlist: ListToCome | None = None,
) -> list[str]:
    """What to tell of a plan for the list of this name; ``entries`` is the list before it, None if there is none.

    In a prediction ``foreseen`` and ``allowlist`` are what will be there by then, where that is not what is there now.
    """
    said = _of_filters(pins, name, demand, foreseen)
    if demand.absent:
        return [
            *said,
            *_still_listed(name, demand, plan),
            *_back_soon(demand, plan),
            *_still_covered(pins, demand, plan, entries),
        ]
    said += [*_emptied(name, demand, plan), *_lessened(demand, plan)]
    if name == schema.BLOCKLIST:
        said += [*_allowed_all_the_same(pins, demand, plan, allowlist), *_everybody(demand), *_own(demand)]
    return said


def _told(found: dict[str, list[bytes]]) -> list[str]:
    """Sentences from what there is to say and the keys that it is said of."""
    sentences = [f"{addresses.names(keys)}: {saying}" for saying, keys in list(found.items())[:_SENTENCES]]
    more = sum(map(len, found.values())) - sum(map(len, list(found.values())[:_SENTENCES]))
    return [*sentences, f"and for other reasons {more} more"] if more else sentences


def _changes(changes: Iterable[Change], saying) -> list[str]:
    """What ``saying`` says of each change, None being nothing."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for change in changes:
        said = saying(change)
        if said:
            found[said] += change.keys
    return _told(found)


# What stays in force though it was to go


def _still_listed(name: str, demand: Demand, plan: Plan) -> list[str]:
    def saying(change: Change) -> str | None:
        others = sorted(set(change.after) - {demand.owner})
        if others and not demand.any_owner:
            return f"still on the {name} for {', '.join(others)}; name the owner to remove it, or set any_owner=true"
        sides = {side for claim in change.after.values() for side in claim.sides}
        return (
            f"still on the {name} with direction={claims.direction(sorted(sides))}, which was not named"
            if sides
            else None
        )

    return _changes([*plan.kept, *plan.updated], saying)


def _back_soon(demand: Demand, plan: Plan) -> list[str]:
    def saying(change: Change) -> str | None:
        others = sorted(set(change.before.claims) - set(change.after) - {demand.owner})
        return f"was there for {', '.join(others)}, too, and comes back when asked for again" if others else None

    return _changes([*plan.removed, *plan.updated], saying)


def _still_covered(pins: Pins, demand: Demand, plan: Plan, entries: EntryList | None) -> list[str]:
    if entries is None or entries.empty:
        return []
    asked = _looked_at(demand, plan)
    changing = set(chain.from_iterable(change.keys for change in (*plan.removed, *plan.updated)))
    covered = _covering(entries, asked, without=changing, itself=False)
    blocking = entries.name == schema.BLOCKLIST
    if blocking and covered:
        allowed = set(chain.from_iterable(_covering_in(pins, schema.ALLOWLIST, asked).values()))
        covered = {cover: [key for key in keys if key not in allowed] for cover, keys in covered.items()}
    way_out = "let it pass with xdp_allowlist, or remove that" if blocking else "remove that, too"
    verb = "blocked" if blocking else "let through"
    return _told(
        {
            f"still {verb} by {_described(entries, cover)}; {way_out}": keys
            for cover, keys in sorted(covered.items(), key=lambda each: addresses.sort_key(each[0]))
            if keys
        }
    )


# What has no effect, or another one


def _of_filters(pins: Pins, name: str, demand: Demand, foreseen: Foreseen) -> list[str]:
    there = {each: found for each in pins.filters() if (found := filter_programs.running(pins, each))}
    # What attaches a filter also brings all others to the lists in use.
    astray = (
        []
        if foreseen.filters
        else [each for each, found in there.items() if not filter_programs.reads_lists(pins, found.info)]
    )
    filters = {each: _monitors(pins, each) for each in there if each not in foreseen.removed}
    filters.update(foreseen.monitoring())
    going_on = [
        note for each in pins.filters() if each not in filters for note in filter_programs.goes_on_notes(pins, each)
    ]
    if not (filters or going_on or demand.absent):
        return ["no filter is attached on this host, so nothing is dropped yet: attach one with xdp_filter"]
    said = going_on + [
        f"the filter on {each} reads other lists, of an interrupted change or of another mount namespace: run xdp_filter again"
        for each in astray
    ]
    if not filters or demand.absent or name == schema.ALLOWLIST or not demand.wishes.keys:
        return said
    if all(filters.values()):
        said.append("every filter on this host has monitor=true, so nothing is dropped")
    return said + _unseen({hooks.split_name(each)[1] for each in filters}, demand)


def _monitors(pins: Pins, name: str) -> bool:
    return bool(filter_meta.read(pins, name).options.get("monitor"))


def _unseen(used: set[str], demand: Demand) -> list[str]:
    wishes = demand.wishes
    usual = wishes.wanted.sides if len(wishes.others) < len(wishes.keys) else ()
    sides = {*usual, *wishes.others.sides()}
    said = []
    if schema.SOURCE in sides and used == {schema.TC_EGRESS}:
        said.append(
            "no filter on this host sees what arrives, so direction src stops no ping from there: "
            "attach one with hook=xdp or hook=tc_ingress"
        )
    if schema.DESTINATION in sides and schema.TC_EGRESS not in used:
        said.append(
            "no filter on this host sees what leaves, so direction dst stops nothing that the host itself sends: "
            "attach one with hook=tc_egress"
        )
    return said


def _emptied(name: str, demand: Demand, plan: Plan) -> list[str]:
    gone = claims.count(plan.removed) + claims.count(plan.updated)
    if demand.wishes.keys or not demand.exclusive or not gone:
        return []
    return [f"the list that was given is empty, so all that {demand.owner} has on the {name} goes: {gone}"]


def _lessened(demand: Demand, plan: Plan) -> list[str]:
    """Of an exact list, that is what was asked for."""

    def saying(change: Change) -> str | None:
        before, after = change.before.untils, claims.effective(change.after)
        lost = tuple(side for side in (0, 1) if before[side] > now and not after[side])
        if lost:
            return f"no longer holds for direction={claims.direction(lost)}; direction=both keeps both"
        if any(later > now and later > sooner for later, sooner in zip(before, after)):
            return "held for longer, and now ends with its ttl; ask for it without ttl to have it back"
        return None

    now = durations.boot_time()
    return [] if demand.exclusive else _changes(plan.updated, saying)


def _allowed_all_the_same(pins: Pins, demand: Demand, plan: Plan, coming: ListToCome | None) -> list[str]:
    with entry_list.opened_list(pins, schema.ALLOWLIST) as there:
        entries = coming or there
        if entries is None or entries.empty:
            return []
        covered = _covering(entries, _looked_at(demand, plan))
        return _told(
            {
                f"not dropped, since {_described(entries, cover)} wins over the blocklist": keys
                for cover, keys in sorted(covered.items(), key=lambda each: addresses.sort_key(each[0]))
            }
        )


def _everybody(demand: Demand) -> list[str]:
    whole = {addresses.parse("0.0.0.0/0"), addresses.parse("::/0")}.intersection(demand.wishes.keys)
    return [
        f"{addresses.display(key)} is everybody: all ICMP but the protected types is blocked, except for the allowlist"
        for key in sorted(whole)
    ]


def _own(demand: Demand) -> list[str]:
    around = {
        addresses.network(address, length): address
        for address in _own_addresses()
        for length in range(1, len(address) * 8 + 1)
    }
    found = sorted(set(around).intersection(demand.wishes.keys), key=addresses.sort_key)
    return _told(
        {"covers an address of this host, so its neighbours may lose all ICMP with it but the protected types": found}
        if found
        else {}
    )


def _own_addresses() -> Iterator[bytes]:
    bodies = netlink.request(_RTM_GETADDR, netlink.DUMP, _ADDRESS_MESSAGE.pack(0, 0, 0, 0, 0))
    with netlink.understood():
        for body in bodies:
            scope = _ADDRESS_MESSAGE.unpack_from(body)[3]
            told = dict(netlink.attributes(body[_ADDRESS_MESSAGE.size :]))
            address = told.get(_IFA_LOCAL, told.get(_IFA_ADDRESS))
            if address and scope != _SCOPE_HOST:
                yield address


# Which entry covers which


def _looked_at(demand: Demand, plan: Plan) -> AskedKeys:
    """What was asked for; of many only what changes, since their second sync is to cost little."""
    wishes = demand.wishes
    if len(wishes.keys) > MANY:
        given = [change for change in (*plan.added, *plan.updated) if demand.owner in change.after]
        changes = [*plan.updated, *plan.removed] if demand.absent else given
        return [(change.keys, change.after.get(demand.owner, wishes.wanted).sides) for change in changes]
    by_sides: dict[tuple[int, ...], list[bytes]] = defaultdict(list)
    for key, wanted in wishes.by_key().items():
        by_sides[wanted.sides].append(key)
    return [(keys, sides) for sides, keys in by_sides.items()]


def _covering_in(pins: Pins, name: str, asked: AskedKeys) -> dict[bytes, list[bytes]]:
    with entry_list.opened_list(pins, name) as entries:
        return {} if entries is None else _covering(entries, asked)


def _described(entries: EntryList | ListToCome, key: bytes) -> str:
    return f"{addresses.display(key)} on the {entries.name} (owner {', '.join(entries.owners(key))})"


def _covering(
    entries: EntryList | ListToCome, asked: AskedKeys, without: Collection[bytes] = (), itself: bool = True
) -> dict[bytes, list[bytes]]:
    """The keys that entries of a list cover on a side that they name, by the key of such an entry."""
    found: dict[bytes, list[bytes]] = defaultdict(list)
    now, seen = durations.boot_time(), set()
    for keys, sides in [] if entries.empty else asked:
        pairs = _one_by_one(entries, keys) if len(keys) <= MANY else _all_at_once(entries, keys)
        for key, cover, untils in pairs:
            if key in seen or cover in without or (cover == key and not itself):
                continue
            if any(untils[side] > now for side in sides):
                found[cover].append(key)
                seen.add(key)
    return found


def _one_by_one(entries: EntryList | ListToCome, keys: list[bytes]) -> Iterator[tuple]:
    return ((key, cover, untils) for key in keys for cover, untils in entries.around(key))


def _all_at_once(entries: EntryList | ListToCome, keys: list[bytes]) -> Iterator[tuple]:
    """The narrowest first, here too, so that the same one is named."""
    inside = _Inside(keys)
    for cover, untils in sorted(entries.covers(), key=lambda each: -addresses.split(each[0])[1]):
        for key in inside.network(cover):
            yield key, cover, untils


class _Inside:
    """Finds those of many addresses and networks that are inside of a network."""

    def __init__(self, keys: list[bytes]) -> None:
        self._exact: dict[int, list[int]] = {4: [], 16: []}
        self._networks: dict[int, list[tuple[int, bytes]]] = {4: [], 16: []}
        for alike in claims.by_size(keys).values():
            size = len(addresses.split(alike[0])[0])
            if len(alike[0]) == size:
                # Numbers are sorted in a third of the time that bytes take.
                packed = struct.unpack(f">{len(alike)}I", b"".join(alike)) if size == 4 else ()
                self._exact[size] = sorted(packed or map(int.from_bytes, alike, repeat("big")))
            else:
                self._networks[size] = sorted((int.from_bytes(key[4:], "big"), key) for key in alike)

    def network(self, key: bytes) -> Iterator[bytes]:
        address, length = addresses.split(key)
        size = len(address)
        first = int.from_bytes(address, "big")
        end = first + (1 << (size * 8 - length))
        exact, networks = self._exact[size], self._networks[size]
        for number in exact[bisect_left(exact, first) : bisect_left(exact, end)]:
            yield number.to_bytes(size, "big")
        for _number, each in networks[bisect_left(networks, (first, b"")) : bisect_right(networks, (end, b""))]:
            if addresses.split(each)[1] >= length:
                yield each
