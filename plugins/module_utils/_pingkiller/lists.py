# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocklist and the allowlist: records in one table, found through four indexes.

An entry is held by one owner or by several. With one owner, the record says all there is; with several, the record holds
what follows from all of them (each side's latest ``until``) and the ``claims`` map what each of them asked for.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from . import addresses, bpf, durations, schema
from .addresses import Wanted
from .errors import PingKillerError
from .pins import CURRENT, Pins

DEFAULT_CAPACITY = 65536
MAX_CAPACITY = 4_000_000

_SEVERAL = 0  #: a record's owner where the claims map has them
_WORDS = schema.RECORD.size // 8
_PACKETS, _BYTES, _UNTIL = 0, 1, 3  #: fields of a record, in words

#: What the owners of one entry ask for.
Claims = dict  # of str to Wanted; written out because Python 3.9 cannot subscript it in an alias used at run time


class Change(NamedTuple):
    """One entry before and after; no claims mean that it is not on the list."""

    key: bytes
    before: Claims
    after: Claims


class Plan(NamedTuple):
    """What is to be done, and what was asked for but will not be."""

    added: list[Change]
    updated: list[Change]
    removed: list[Change]
    kept: list[Change]  #: entries that were to go, but others hold them

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


def make_plan(current: dict, wanted: dict, owner: str, absent: bool = False, exclusive: bool = False) -> Plan:
    """Compare; pure. ``current`` holds the claims of every entry concerned, ``wanted`` is by key as well."""
    plan = Plan([], [], [], [])
    for key, request in wanted.items():
        before = current.get(key, {})
        after = {name: claim for name, claim in before.items() if name != owner}
        if not absent:
            after = {**after, owner: request}
        elif after and owner not in before:
            plan.kept.append(Change(key, before, before))
        _sort_in(plan, Change(key, before, after))
    if exclusive:
        for key, before in current.items():
            if owner in before and key not in wanted:
                _sort_in(plan, Change(key, before, {name: c for name, c in before.items() if name != owner}))
    return plan


def _sort_in(plan: Plan, change: Change) -> None:
    if change.before == change.after:
        return
    if not change.before:
        plan.added.append(change)
    elif not change.after:
        plan.removed.append(change)
    else:
        plan.updated.append(change)


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
    return time.strftime(" until=%Y-%m-%dT%H:%MZ", time.gmtime(durations.wall(until)))


def _wanted_from(untils: tuple[int, int]) -> Wanted:
    return Wanted(tuple(side for side, until in enumerate(untils) if until), max(untils))


class Records:
    """The table of entries, in memory shared with the kernel. 64-bit fields are written in one piece."""

    def __init__(self, table: bpf.Map) -> None:
        self.capacity = table.info.max_entries
        self._memory = table.memory()
        self._bytes = memoryview(self._memory)
        self.words = self._bytes.cast("Q")

    def close(self) -> None:
        self.words.release()
        self._bytes.release()
        self._memory.close()

    def used(self) -> bytes:
        """For each slot 1 + the number of the entry's kind, 0 if it is free."""
        return self._bytes[schema.RECORD_USED :: schema.RECORD.size].tobytes()

    def prefix_lengths(self, kind: str) -> Counter:
        """How many networks of this kind have which prefix length."""
        lengths = self._bytes[schema.RECORD_PREFIX_LENGTH :: schema.RECORD.size].tobytes()
        number = 1 + schema.KINDS.index(kind)
        return Counter(length for used, length in zip(self.used(), lengths) if used == number)

    def read(self, slot: int) -> tuple:
        """Fields in the order of ``schema.RECORD``."""
        return schema.RECORD.unpack_from(self._memory, slot * schema.RECORD.size)

    def untils(self, slot: int) -> tuple[int, int]:
        start = slot * _WORDS + _UNTIL
        return self.words[start], self.words[start + 1]

    def key(self, slot: int) -> bytes:
        *_counts, address, used, length, _owner = self.read(slot)
        kind = schema.KINDS[used - 1]
        size = 4 if kind.endswith("4") else 16
        return address[:size] if kind.startswith("exact") else schema.SLOT.pack(length) + address[:size]

    def write(self, slot: int, key: bytes, untils: tuple[int, int], owner: int) -> None:
        """Fill a free slot, which no index names yet."""
        kind = schema.KIND_OF_SIZE[len(key)]
        network = kind.startswith("network")
        address, length = (key[4:], schema.SLOT.unpack_from(key)[0]) if network else (key, len(key) * 8)
        fields = (0, 0, 0, *untils, address, 1 + schema.KINDS.index(kind), length, owner)
        schema.RECORD.pack_into(self._memory, slot * schema.RECORD.size, *fields)

    def edit(self, slot: int, untils: tuple[int, int], owner: int) -> None:
        """Change what an entry matches and whose it is; its counters go on."""
        start = slot * _WORDS + _UNTIL
        self.words[start], self.words[start + 1] = untils
        self._bytes[slot * schema.RECORD.size + schema.RECORD_OWNER] = owner

    def free(self, slot: int) -> None:
        self._bytes[slot * schema.RECORD.size + schema.RECORD_USED] = 0


class Control:
    """The control map: whether a change was interrupted, and how many entries of which kind there are."""

    def __init__(self, control: bpf.Map) -> None:
        self._memory = control.memory()
        self._words = memoryview(self._memory).cast("I")
        self._generation = memoryview(self._memory)[_GENERATION : _GENERATION + 8].cast("Q")

    def close(self) -> None:
        self._generation.release()
        self._words.release()
        self._memory.close()

    @property
    def schema_version(self) -> int:
        return self._words[0]

    def stamp(self) -> None:
        self._words[0] = schema.SCHEMA_VERSION

    def is_dirty(self, list_name: str) -> bool:
        """Whether a change of this list is under way, or was interrupted."""
        return bool(self._words[1] >> schema.LISTS.index(list_name) & 1)

    @contextlib.contextmanager
    def changing(self, list_name: str) -> Iterator[None]:
        """The list is dirty meanwhile, and stays it if this does not end well. The filter forgets what it remembered."""
        bit = 1 << schema.LISTS.index(list_name)
        self._words[1] |= bit
        yield
        self._generation[0] += 1
        self._words[1] &= ~bit

    @property
    def listening(self) -> bool:
        return bool(self._words[2])

    @listening.setter
    def listening(self, value: bool) -> None:
        self._words[2] = int(value)

    def _row(self, list_name: str, kind: str) -> int:
        number = schema.LISTS.index(list_name) * len(schema.KINDS) + schema.KINDS.index(kind)
        return (schema.CONTROL_HEAD.size + number * schema.POPULATION.size) // 4

    def count(self, list_name: str) -> int:
        return sum(self._words[self._row(list_name, kind)] for kind in schema.KINDS)

    def add(self, list_name: str, kind: str, untils: tuple[int, int], by: int) -> None:
        """Count an entry in (1) or out (-1)."""
        row = self._row(list_name, kind)
        self._words[row] += by
        self.add_matching(list_name, kind, untils, by)

    def add_matching(self, list_name: str, kind: str, untils: tuple[int, int], by: int) -> None:
        row = self._row(list_name, kind)
        for column in _matching_columns(untils):
            self._words[row + column] += by

    def has_timed(self, list_name: str) -> bool:
        """Whether any entry has an expiry."""
        return any(self._words[self._row(list_name, kind) + _TIMED] for kind in schema.KINDS)

    def recount(self, list_name: str, counted: dict[str, Counter]) -> None:
        """Set what has been counted anew, by kind; each number at once, since the filter looks at nothing that is zero."""
        for kind in schema.KINDS:
            row = self._row(list_name, kind)
            for column in range(_TIMED + 1):
                self._words[row + column] = counted[kind][column]


_GENERATION = 16  #: offset in the control map
_ENTRIES, _TIMED = 0, 3  #: columns of a population: all entries, those with an expiry; between them the two sides


def _matching_columns(untils: tuple[int, int]) -> list[int]:
    """The columns of a population, but for the first, in which such an entry is counted."""
    columns = [1 + side for side, until in enumerate(untils) if until]
    return columns + [_TIMED] if any(0 < until < schema.FOREVER for until in untils) else columns


class Owners:
    """Names of owners and the numbers that records carry."""

    def __init__(self, owners: bpf.Map) -> None:
        self._map = owners
        memory = owners.memory()
        size = schema.OWNER_SIZE
        names = [memory[start : start + size].rstrip(b"\0").decode() for start in range(0, len(memory), size)]
        memory.close()
        self.names = names[: schema.MAX_OWNERS]
        self.numbers = {name: number for number, name in enumerate(self.names) if name}

    def check(self, owners: set[str]) -> None:
        """Raises PingKillerError if there are no numbers left for those that are new."""
        new = sorted(owners - set(self.numbers))
        most = schema.MAX_OWNERS - 1
        if len(self.numbers) + len(new) > most:
            raise PingKillerError(
                f"owner={new[0]!r} would be one more than the {most} owners that a host can have: use one of those that exist"
            )

    def number(self, name: str) -> int:
        """The owner's number, given out if it has none; ``check`` comes first."""
        if name not in self.numbers:
            free = self.names.index("", 1)
            self._map.update(schema.SLOT.pack(free), name.encode().ljust(schema.OWNER_SIZE, b"\0"))
            self.names[free] = name
            self.numbers[name] = free
        return self.numbers[name]


class EntryList:
    """One list of the host, opened. Changing it takes the host's lock; reading does not."""

    def __init__(self, pins: Pins, name: str, host: dict[str, bpf.Map], generation: str = CURRENT) -> None:
        self.name = name
        self._maps = open_list_maps(pins, name, generation)
        self.records = Records(self._maps["records"])
        self._control = Control(host["control"])
        self._owners = Owners(host["owners"])
        self._claims = host["claims"]
        self._number = schema.LISTS.index(name)

    def close(self) -> None:
        self.records.close()
        self._control.close()
        for each in self._maps.values():
            each.close()

    def __enter__(self) -> EntryList:
        return self

    def __exit__(self, *_exception) -> None:
        self.close()

    @property
    def capacity(self) -> int:
        return self.records.capacity

    @property
    def count(self) -> int:
        """Entries that have not expired."""
        return self._control.count(self.name) - sum(1 for _slot in self._expired())

    # Reading

    def slot_of(self, key: bytes) -> int | None:
        """Where the entry of exactly this address or network is."""
        value = self._index(key).lookup(key)
        if value is None:
            return None
        slot = schema.SLOT.unpack(value)[0]
        # A trie also finds the longest shorter network.
        return slot if len(key) in (4, 16) or self.records.key(slot) == key else None

    def slots(self) -> Iterator[int]:
        """The slots of all entries, also of those that have expired."""
        if not self._control.is_dirty(self.name):
            return self._used_slots()
        # A record that no index names is what an interrupted change left.
        return (slot for slot in self._used_slots() if self.slot_of(self.records.key(slot)) == slot)

    def _used_slots(self) -> Iterator[int]:
        return (slot for slot, used in enumerate(self.records.used()) if used)

    def live_slots(self) -> Iterator[int]:
        """The slots of the entries that have not expired."""
        if not self._control.has_timed(self.name):
            return self.slots()
        expired = set(self._expired())
        return (slot for slot in self.slots() if slot not in expired)

    def _expired(self) -> Iterator[int]:
        if not self._control.has_timed(self.name):
            return iter(())
        now = durations.boot_time()
        return (slot for slot in self.slots() if max(self.records.untils(slot)) <= now)

    def claims(self, slot: int) -> Claims:
        """What the owners of an entry ask for, but for what has expired."""
        now = durations.boot_time()
        return {name: claim for name, claim in self._all_claims(slot).items() if claim.until > now}

    def _all_claims(self, slot: int) -> Claims:
        owner = self.records.read(slot)[-1]
        if owner == _SEVERAL:
            return self._shared_claims(self.records.key(slot))
        return {self._owners.names[owner]: _wanted_from(self.records.untils(slot))}

    def current(self, keys, everything: bool) -> dict:
        """The claims by key: of the keys given, and of all other entries too if ``everything``."""
        if everything:
            found = {self.records.key(slot): self.claims(slot) for slot in self.slots()}
        else:
            slots = {key: self.slot_of(key) for key in keys}
            found = {key: self.claims(slot) for key, slot in slots.items() if slot is not None}
        return {key: claims for key, claims in found.items() if claims}

    def top(self, number: int) -> list[int]:
        """The slots of the entries that met the most packets, the busiest first; those that met none are left out."""
        packets = self.records.words[_PACKETS::_WORDS].tolist()
        used = self.records.used()
        expired = set(self._expired())
        busy = (slot for slot, count in enumerate(packets) if count and used[slot] and slot not in expired)
        return heapq.nlargest(number, busy, key=packets.__getitem__)

    def _index(self, key: bytes) -> bpf.Map:
        return self._maps[schema.KIND_OF_SIZE[len(key)]]

    def _claim_key(self, key: bytes, owner: int) -> bytes:
        kind = schema.KIND_OF_SIZE[len(key)]
        address, length = (key[4:], key[0]) if kind.startswith("network") else (key, len(key) * 8)
        return schema.CLAIM_KEY.pack(self._number, schema.KINDS.index(kind), length, owner, address)

    def _shared_claims(self, key: bytes) -> Claims:
        found = {}
        for name, number in self._owners.numbers.items():
            value = self._claims.lookup(self._claim_key(key, number))
            if value is not None:
                until, bits = schema.CLAIM.unpack(value)
                found[name] = Wanted(tuple(side for side in (0, 1) if bits >> side & 1), until)
        return found

    # Changing

    def settle(self) -> None:
        """What comes before any change: put right what an interrupted one left, and let go of what has expired."""
        if self._control.is_dirty(self.name):
            with self._control.changing(self.name):
                self.repair()
        expired = [Change(self.records.key(slot), {}, {}) for slot in self._expired()]
        if expired:
            with self._control.changing(self.name):
                self._remove(expired)

    def repair(self) -> None:
        """Put right what an interrupted change left: records that no index names, and the counts."""
        self._forget_stray_claims()
        counted: dict[str, Counter] = {kind: Counter() for kind in schema.KINDS}
        for slot in self._used_slots():
            key = self.records.key(slot)
            if self.slot_of(key) != slot:
                self.records.free(slot)
                continue
            if self.records.read(slot)[-1] == _SEVERAL:
                self.records.edit(slot, effective(self._shared_claims(key)), _SEVERAL)
            counted[schema.KIND_OF_SIZE[len(key)]].update([_ENTRIES, *_matching_columns(self.records.untils(slot))])
        self._control.recount(self.name, counted)

    def _forget_stray_claims(self) -> None:
        """Claims on entries that are gone, or that one owner's record speaks for."""
        for claim_key, _claim in list(self._claims.items()):
            number, kind, length, _owner, address = schema.CLAIM_KEY.unpack(claim_key)
            if number != self._number:
                continue
            name = schema.KINDS[kind]
            key = address[: 4 if name.endswith("4") else 16]
            if name.startswith("network"):
                key = schema.SLOT.pack(length) + key
            slot = self.slot_of(key)
            if slot is None or self.records.read(slot)[-1] != _SEVERAL:
                self._claims.delete(claim_key)

    def check(self, plan: Plan) -> None:
        """Raises PingKillerError if the list would not hold what the plan leaves in it."""
        left = self.count + len(plan.added) - len(plan.removed)
        check_capacity(self.name, left, self.capacity)
        if _ipv6_lengths(plan.added):
            check_prefix_lengths(self.name, self._ipv6_lengths_after(plan))
        self._check_owners(plan)

    def _ipv6_lengths_after(self, plan: Plan) -> set[int]:
        left = self.records.prefix_lengths("network6") + _ipv6_lengths(plan.added)
        return set(left - _ipv6_lengths(plan.removed))

    def _check_owners(self, plan: Plan) -> None:
        owners = {owner for change in plan.added + plan.updated for owner in change.after}
        self._owners.check(owners)
        shared = sum(len(change.after) for change in plan.updated if len(change.after) > 1)
        if not shared:
            return
        shared += len(self._claims.read_all())
        if shared > schema.MAX_CLAIMS:
            raise PingKillerError(
                f"the {self.name} would have {shared} claims of several owners on one entry and the host holds "
                f"{schema.MAX_CLAIMS}: nothing was changed; let one owner have the entries that both want"
            )

    def apply(self, plan: Plan) -> None:
        """Additions, then changes, then removals: what stays blocked is blocked throughout. Comes after ``settle``.

        Only where the old and the new together are more than the list can have do as many removals as that takes come
        first, addresses before networks. Raises PingKillerError, with nothing added, if the kernel has no memory for it.
        """
        self.check(plan)
        with self._control.changing(self.name):
            removals = sorted(plan.removed, key=lambda change: len(change.key) not in (4, 16))
            early = self._early_removals(plan)
            self._remove(removals[:early])
            self._add(plan.added)
            for change in plan.updated:
                self._update(change)
            self._remove(removals[early:])

    def _early_removals(self, plan: Plan) -> int:
        """How many removals have to come first, so that the additions fit."""
        lengths = set(self.records.prefix_lengths("network6") + _ipv6_lengths(plan.added))
        if _ipv6_lengths(plan.added) and len(lengths) > schema.MAX_PREFIX_LENGTHS:
            return len(plan.removed)
        return max(0, self.count + len(plan.added) - self.capacity)

    def _count(self, key: bytes, untils: tuple[int, int], by: int) -> None:
        self._control.add(self.name, schema.KIND_OF_SIZE[len(key)], untils, by)

    def _by_kind(self, keys: list[bytes]) -> Iterator[tuple[bpf.Map, list[int]]]:
        """The indexes concerned, each with the positions of its keys."""
        for kind, size in schema.KEY_SIZES.items():
            positions = [position for position, key in enumerate(keys) if len(key) == size]
            if positions:
                yield self._maps[kind], positions

    def _add(self, changes: list[Change]) -> None:
        used = self.records.used()
        slots, start = [], 0
        for change in changes:
            start = used.index(0, start) + 1
            slots.append(start - 1)
            untils = effective(change.after)
            self.records.write(start - 1, change.key, untils, self._store_owners(change.key, False, change.after))
            self._count(change.key, untils, 1)
        keys = [change.key for change in changes]
        try:
            for index, positions in self._by_kind(keys):
                values = [schema.SLOT.pack(slots[position]) for position in positions]
                index.update_many([keys[position] for position in positions], values)
        except OSError as error:
            self._delete(keys)
            self.repair()
            raise PingKillerError(
                f"the kernel refused {len(keys)} entries for the {self.name} ({error.strerror}): none of them was added"
            ) from error

    def _update(self, change: Change) -> None:
        slot = self.slot_of(change.key)
        if slot is None:
            return
        kind = schema.KIND_OF_SIZE[len(change.key)]
        before, after = self.records.untils(slot), effective(change.after)
        # In this order a side that is matched is never one that the filter does not look at.
        self._control.add_matching(self.name, kind, after, 1)
        several = self.records.read(slot)[-1] == _SEVERAL
        self.records.edit(slot, after, self._store_owners(change.key, several, change.after))
        self._control.add_matching(self.name, kind, before, -1)

    def _remove(self, changes: list[Change]) -> None:
        keys = [change.key for change in changes]
        slots = [self.slot_of(key) for key in keys]
        self._delete(keys)
        for key, slot in zip(keys, slots):
            if slot is not None:
                self._store_owners(key, self.records.read(slot)[-1] == _SEVERAL, {})
                self.records.free(slot)
                self._count(key, self.records.untils(slot), -1)

    def _delete(self, keys: list[bytes]) -> None:
        for index, positions in self._by_kind(keys):
            index.delete_many([keys[position] for position in positions])

    def _store_owners(self, key: bytes, had_several: bool, after: Claims) -> int:
        """Keep the claims of an entry that has several owners, forget those it no longer has; the record's owner."""
        several = after if len(after) > 1 else {}
        for name, number in self._owners.numbers.items() if had_several else ():
            if name not in several:
                self._claims.delete(self._claim_key(key, number))
        for name, wanted in several.items():
            bits = sum(1 << side for side in wanted.sides)
            value = schema.CLAIM.pack(wanted.until, bits)
            self._claims.update(self._claim_key(key, self._owners.number(name)), value)
        return _SEVERAL if len(after) != 1 else self._owners.number(next(iter(after)))

    def copy_from(self, other: EntryList) -> None:
        """Fill this empty list of another capacity with the entries of ``other``, their counters at zero.

        How many entries there are holds for both, so the control map is left alone.
        """
        keys, values = [], []
        for new, old in enumerate(other.slots()):
            key = other.records.key(old)
            self.records.write(new, key, other.records.untils(old), other.records.read(old)[-1])
            keys.append(key)
            values.append(schema.SLOT.pack(new))
        for index, positions in self._by_kind(keys):
            index.update_many([keys[position] for position in positions], [values[position] for position in positions])

    def carry_from(self, other: EntryList, carry: bpf.Program) -> None:
        """Add what the entries of ``other``, which no filter reads any more, have counted."""
        for old in other.slots():
            packets, seen_bytes, last_seen = other.records.read(old)[:3]
            slot = self.slot_of(other.records.key(old)) if packets else None
            if slot is not None:
                carry.test_run(schema.CARRIED.pack(self._number, slot, packets, seen_bytes, last_seen))


def _ipv6_lengths(changes: list[Change]) -> Counter:
    """How many of the changes are IPv6 networks of which prefix length."""
    return Counter(change.key[0] for change in changes if len(change.key) == schema.KEY_SIZES["network6"])


def check_capacity(name: str, count: int, capacity: int) -> None:
    """Raises PingKillerError if so many entries do not fit."""
    if count > capacity:
        raise PingKillerError(
            f"the {name} would have {count} entries and holds {capacity}: nothing was changed; raise max_entries of "
            f"xdp_filter (pingkiller_max_entries of the role) to {count} or more"
        )


def check_prefix_lengths(name: str, lengths: set) -> None:
    """Raises PingKillerError for more prefix lengths than the filter follows into one another."""
    if len(lengths) > schema.MAX_PREFIX_LENGTHS:
        raise PingKillerError(
            f"the {name} would have IPv6 networks of {len(lengths)} different prefix lengths and may have "
            f"{schema.MAX_PREFIX_LENGTHS}: nothing was changed; split the rarer ones into longer prefixes"
        )


def open_list_maps(pins: Pins, name: str, generation: str = CURRENT) -> dict[str, bpf.Map]:
    """The maps of a list that exists. The records' size is the capacity that the indexes must have too."""
    with _required(pins, pins.list(name, "records", generation), None) as records:
        capacity = records.info.max_entries
    expected = schema.list_maps(capacity)
    return {
        map_name: _required(pins, pins.list(name, map_name, generation), info) for map_name, info in expected.items()
    }


def _required(pins: Pins, path: str, info: bpf.MapInfo | None) -> bpf.Map:
    found = pins.open(path, info)
    if not found:
        raise PingKillerError(f"{path} is missing: run xdp_filter with state=absent and set the filter up again")
    return found
