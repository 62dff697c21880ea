# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocklist and the allowlist: records in one table, found through four indexes.

An entry is held by one owner or by several. With one owner, the record says all there is; with several, the record holds
what follows from all of them (each side's latest ``until``) and the ``claims`` map what each of them asked for.
"""

from __future__ import annotations

import array
import contextlib
import heapq
import operator
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress

from .. import durations
from ..entries import addresses
from ..entries.claims import Claim, Claims, effective
from ..entries.plan import Change, Held, Plan, number_of_entries
from ..errors import PingKillerError
from ..kernel import bpf, schema
from .control import ENTRIES, Control, Owners, matching_columns
from .host_maps import opened
from .pins import Pins
from .records import Records, Signature

DEFAULT_CAPACITY = 65536
MAX_CAPACITY = 4_000_000

_FEW = 3  #: stretches of the table
_SEVERAL = 0  #: a record's owner where the claims map has them


class EntryList:
    """One list of the host, opened. Changing it takes the host's lock; reading does not."""

    def __init__(self, pins: Pins, name: str, host: dict[str, bpf.Map]) -> None:
        self.name = name
        self._control = Control(host["control"])
        self._maps = open_list_maps(pins, name, self._control.schema_version)
        self.records = Records(self._maps["records"], schema.layouts(self._control.schema_version)["records"])
        self._owners = Owners(host["owners"])
        self._claims = host["claims"]
        self._number = schema.LISTS.index(name)
        self._damaged = False

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
    def table(self) -> bpf.Map:
        """The map of the records."""
        return self._maps["records"]

    @property
    def capacity(self) -> int:
        return self.records.capacity

    @property
    def count(self) -> int:
        """Entries that have not expired."""
        if self.dirty:
            return sum(len(slots) for _signature, slots in self.live())
        return self._control.count(self.name) - sum(len(slots) for _signature, slots in self._expired())

    @property
    def empty(self) -> bool:
        """Whether there is nothing on it, not even what has expired."""
        return not self._control.count(self.name)

    @property
    def dirty(self) -> bool:
        """Whether records and indexes may disagree: a change was interrupted, or ``compare`` has seen it."""
        return self._damaged or self._control.is_dirty(self.name)

    def compare(self, most: int) -> None:
        """Find out whether the indexes have lost or gained entries behind our back, in a list of up to so many."""
        counted = {kind: self._control.count(self.name, kind) for kind in schema.KINDS}
        if not self.dirty and sum(counted.values()) <= most:
            self._damaged = any(len(self._maps[kind].read_columns()[1]) // 4 != counted[kind] for kind in counted)

    # Reading

    def slot_of(self, key: bytes) -> int | None:
        """Where the entry of exactly this address or network is."""
        value = self._maps[schema.KIND_OF_SIZE[len(key)]].lookup(key)
        if value is None:
            return None
        slot = schema.SLOT.unpack(value)[0]
        # A trie also finds the longest shorter network, and an index that somebody else wrote to finds anything.
        return slot if slot < self.capacity and self.records.key(slot) == key else None

    def owners(self, key: bytes) -> list[str]:
        """Who wants the entry of exactly this address or network, which is there."""
        return sorted(self.claims(self.slot_of(key)))

    def around(self, key: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """The entries that cover all of an address or network, itself among them, each with its end on each side, the
        narrowest first."""
        address, length = addresses.split(key)
        exact = self.slot_of(key) if len(key) == len(address) else None
        if exact is not None:
            yield key, self.records.untils(exact)
        index = self._maps["network4" if len(address) == 4 else "network6"]
        while length >= 0:
            value = index.lookup(schema.SLOT.pack(length) + address)
            if value is None:
                return
            slot = schema.SLOT.unpack(value)[0]
            found = self.records.key(slot) if slot < self.capacity else None
            if found is None or addresses.split(found)[1] > length:  # an index that somebody else wrote to
                return
            yield found, self.records.untils(slot)
            length = addresses.split(found)[1] - 1

    def covers(self) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """All entries, each with its end on each side."""
        return ((key, held.untils) for held in self.held() for key in held.keys)

    def alike(self) -> Iterator[tuple[Signature, Sequence[int]]]:
        """The slots of all entries, also of those that have expired, together those that are alike."""
        if not self.dirty:
            yield from self.records.alike(self._control.count(self.name))
            return
        named = None
        for number, (signature, slots) in enumerate(self.records.alike()):
            if number == _FEW:  # who goes on here wants all of them
                named = self._named()
            strays = self._strays(signature, slots, named)
            left = [slot for slot in slots if slot not in strays]
            if left:
                yield signature, left

    def slots(self) -> Iterator[int]:
        """The slots of all entries, also of those that have expired."""
        return chain.from_iterable(slots for _signature, slots in self.alike())

    def live(self) -> Iterator[tuple[Signature, Sequence[int]]]:
        """The entries that have not expired."""
        now = durations.boot_time()
        return ((signature, slots) for signature, slots in self.alike() if max(signature.untils) > now)

    def _expired(self) -> Iterator[tuple[Signature, Sequence[int]]]:
        if not self._control.has_timed(self.name):
            return iter(())
        now = durations.boot_time()
        return ((signature, slots) for signature, slots in self.alike() if max(signature.untils) <= now)

    def claims(self, slot: int) -> Claims:
        """What the owners of an entry ask for, but for what has expired."""
        signature = self.records.signature(slot)
        if signature.owner == _SEVERAL:
            return _unexpired(self._shared_claims(self.records.key(slot)))
        return self._one_claim(signature)

    def _one_claim(self, signature: Signature) -> Claims:
        sides = tuple(side for side, until in enumerate(signature.untils) if until)
        return _unexpired({self._owners.names[signature.owner]: Claim(sides, max(signature.untils))})

    def held(self, keys: Iterable[bytes] | None = None) -> list[Held]:
        """The entries of these keys, without any all entries, together those that have the same claims."""
        if keys is None:
            found, shared = self.live(), self._all_shared_claims()
        else:
            slots = filter(lambda slot: slot is not None, map(self.slot_of, keys))
            found, shared = ((self.records.signature(slot), (slot,)) for slot in slots), None
        gathered: dict[tuple, Held] = {}
        for signature, slots in found:
            keys_found = self.records.keys(signature, slots)
            if signature.owner != _SEVERAL:
                _gather(gathered, signature, keys_found, slots, self._one_claim(signature))
                continue
            for key, slot in zip(keys_found, slots):
                claims = shared.get(key, {}) if shared is not None else self._shared_claims(key)
                _gather(gathered, signature, (key,), (slot,), _unexpired(claims))
        return [each for each in gathered.values() if each.claims]

    def top(self, number: int) -> list[int]:
        """The slots of the entries that met the most packets, the busiest first; those that met none are left out."""
        count = None if self.dirty else self._control.count(self.name)
        expired = {slot for _signature, slots in self._expired() for slot in slots}
        busy = (each for each in self.records.busy(count) if each[0] not in expired)
        return [slot for slot, _packets in heapq.nlargest(number, busy, key=operator.itemgetter(1))]

    def _claim_key(self, key: bytes, owner: int) -> bytes:
        kind = schema.KIND_OF_SIZE[len(key)]
        address, length = (key[4:], key[0]) if kind.startswith("network") else (key, len(key) * 8)
        return schema.CLAIM_KEY.pack(self._number, schema.KINDS.index(kind), length, owner, address)

    def _shared_claims(self, key: bytes) -> Claims:
        found = {}
        for name, number in self._owners.numbers.items():
            value = self._claims.lookup(self._claim_key(key, number))
            if value is not None:
                found[name] = _claim(value)
        return found

    def _all_shared_claims(self) -> dict[bytes, Claims]:
        """The claims of the entries that have, or had, several owners."""
        found: dict[bytes, Claims] = defaultdict(dict)
        for claim_key, value in self._claims.read_all():
            number, key, owner = _split_claim_key(claim_key)
            if number == self._number:
                found[key][self._owners.names[owner]] = _claim(value)
        return found

    # Changing

    def settle(self, anew: bool = False) -> None:
        """What comes before any change: put right what an interrupted one left, and let go of what has expired.

        With ``anew`` also where nothing says that one was interrupted.
        """
        if anew or self.dirty:
            with self._control.changing(self.name):
                self.repair()
            self._damaged = False
        expired = [
            Change(Held(self.records.keys(signature, slots), slots, signature.untils, {}), {})
            for signature, slots in self._expired()
        ]
        if expired:
            with self._control.changing(self.name):
                self._remove(expired)

    def repair(self) -> None:
        """Make indexes, records and counts agree, which an interrupted change, or somebody else, has left in disorder."""
        self._forget_stray_claims()
        named = self._named()
        self._forget_dangling(named)
        for signature, slots in self.records.alike():
            self.records.free(self._strays(signature, slots, named))
        for signature, slots in self.records.alike():
            for key, slot in zip(self.records.keys(signature, slots), slots) if signature.owner == _SEVERAL else ():
                self.records.edit(slot, effective(self._shared_claims(key)), _SEVERAL)
        counted: dict[str, Counter] = {kind: Counter() for kind in schema.KINDS}
        for signature, slots in self.records.alike():
            for column in (ENTRIES, *matching_columns(signature.untils)):
                counted[signature.kind][column] += len(slots)
        self._control.recount(self.name, counted)

    def _named(self) -> dict[str, dict[bytes, int]]:
        """What the indexes say: the slots by kind and key."""
        found = {}
        for kind, size in schema.KEY_SIZES.items():
            keys, slots = self._maps[kind].read_columns()
            found[kind] = dict(
                zip(map(operator.itemgetter(0), struct.iter_unpack(f"{size}s", keys)), array.array("I", slots))
            )
        return found

    def _strays(self, signature: Signature, slots: Sequence[int], named: dict | None) -> set[int]:
        """The records that no index names, which is what an interrupted change left. Without ``named``, the indexes are asked."""
        find = named[signature.kind].get if named else self.slot_of
        indexed = map(find, self.records.keys(signature, slots))
        return set(compress(slots, map(operator.ne, indexed, slots)))

    def _forget_dangling(self, named: dict[str, dict[bytes, int]]) -> None:
        """Take out of the indexes what leads to no record of its own. No change of ours leaves that."""
        dangling = {kind: set(keys) for kind, keys in named.items()}
        for signature, slots in self.records.alike():
            keys = self.records.keys(signature, slots)
            indexed = map(named[signature.kind].get, keys)
            dangling[signature.kind].difference_update(compress(keys, map(operator.eq, indexed, slots)))
        for kind, keys in dangling.items():
            self._maps[kind].delete_many(addresses.joined(list(keys)))

    def _forget_stray_claims(self) -> None:
        """Claims on entries that are gone, or that one owner's record speaks for."""
        for claim_key, _claim in self._claims.read_all():
            number, key, _owner = _split_claim_key(claim_key)
            slot = self.slot_of(key) if number == self._number else None
            if number == self._number and (slot is None or self.records.owner(slot) != _SEVERAL):
                self._claims.delete(claim_key)

    def check(self, plan: Plan, capacity: int | None = None) -> None:
        """Raises PingKillerError if the list would not hold what the plan leaves in it; ``capacity`` is what it will have."""
        after = self.count + number_of_entries(plan.added) - number_of_entries(plan.removed)
        check_capacity(self.name, after, capacity or self.capacity)
        added = ipv6_lengths(plan.added)
        if added:
            left = self.records.prefix_lengths("network6") + added - ipv6_lengths(plan.removed)
            check_prefix_lengths(self.name, set(left))
        self._check_owners(plan)

    def _check_owners(self, plan: Plan) -> None:
        self._owners.check({owner for change in plan.added + plan.updated for owner in change.after})
        shared = sum(len(change.after) * len(change.keys) for change in plan.updated if len(change.after) > 1)
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
        removals = sorted(plan.removed, key=lambda change: change.kind.startswith("network"))
        early, late = _divided(removals, self._early_removals(plan))
        with self._control.changing(self.name):
            self._remove(early)
            self._add(plan.added)
            for change in plan.updated:
                self._update(change)
            self._remove(late)

    def _early_removals(self, plan: Plan) -> int:
        """How many removals have to come first, so that the additions fit."""
        added = ipv6_lengths(plan.added)
        if added and len(self.records.prefix_lengths("network6") + added) > schema.MAX_PREFIX_LENGTHS:
            return number_of_entries(plan.removed)
        return max(0, self.count + number_of_entries(plan.added) - self.capacity)

    def _add(self, changes: list[Change]) -> None:
        free = deque(self.records.free_slots(number_of_entries(changes)))
        try:
            for change in changes:
                (owner,), untils = change.after, effective(change.after)
                slots = _taken(free, len(change.keys))
                self.records.fill(slots, change.keys, untils, self._owners.number(owner))
                self._control.add(self.name, change.kind, untils, len(change.keys))
                self._index(change.keys, slots)
        except OSError as error:
            for change in changes:
                self._maps[change.kind].delete_many(addresses.joined(change.keys))
            self.repair()
            raise PingKillerError(
                f"the kernel refused {number_of_entries(changes)} entries for the {self.name} ({error.strerror}): none of "
                f"them was added"
            ) from error

    def _index(self, keys: list[bytes], slots: list[range]) -> None:
        """Make the filter find entries of one kind."""
        numbers = array.array("I", chain.from_iterable(slots))
        self._maps[schema.KIND_OF_SIZE[len(keys[0])]].update_many(addresses.joined(keys), numbers.tobytes())

    def _update(self, change: Change) -> None:
        after, number = effective(change.after), len(change.keys)
        # In this order a side that is matched is never one that the filter does not look at.
        self._control.add_matching(self.name, change.kind, after, number)
        for key, slot in zip(change.keys, change.before.slots):
            several = self.records.owner(slot) == _SEVERAL
            self.records.edit(slot, after, self._store_owners(key, several, change.after))
        self._control.add_matching(self.name, change.kind, change.before.untils, -number)

    def _remove(self, changes: list[Change]) -> None:
        for change in changes:
            self._maps[change.kind].delete_many(addresses.joined(change.keys))
            for key, owner in zip(change.keys, self.records.owners(change.before.slots)):
                if owner == _SEVERAL:
                    self._store_owners(key, True, {})
            self.records.free(change.before.slots)
            self._control.add(self.name, change.kind, change.before.untils, -len(change.keys))

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
        """Fill this empty list with the entries of ``other``, their counters at zero.

        How many entries there are holds for both, so the control map is left alone.
        """
        free = deque([range(self.capacity)])
        for signature, slots in other.alike():
            keys, new = other.records.keys(signature, slots), _taken(free, len(slots))
            if keys:
                self.records.fill(new, keys, signature.untils, signature.owner)
                self._index(keys, new)


def _unexpired(claims: Claims) -> Claims:
    now = durations.boot_time()
    return {name: claim for name, claim in claims.items() if claim.until > now}


def _claim(value: bytes) -> Claim:
    until, bits = schema.CLAIM.unpack(value)
    return Claim(tuple(side for side in (0, 1) if bits >> side & 1), until)


def _split_claim_key(claim_key: bytes) -> tuple[int, bytes, int]:
    """The list's number, the entry's key, the owner's number."""
    number, kind, length, owner, address = schema.CLAIM_KEY.unpack(claim_key)
    name = schema.KINDS[kind]
    key = address[: 4 if name.endswith("4") else 16]
    return number, schema.SLOT.pack(length) + key if name.startswith("network") else key, owner


def _gather(gathered: dict, signature: Signature, keys: Sequence[bytes], slots: Sequence[int], claims: Claims) -> None:
    """Put entries to those that are alike."""
    alike = signature.kind, signature.untils, tuple(sorted(claims.items()))
    if alike not in gathered:
        gathered[alike] = Held([], array.array("I"), signature.untils, claims)
    gathered[alike].keys.extend(keys)
    gathered[alike].slots.extend(slots)


def _taken(free: deque[range], number: int) -> list[range]:
    """So many slots off the stretches that are free."""
    taken = []
    while number:
        stretch = free.popleft()
        taken.append(stretch[:number])
        if len(stretch) > number:
            free.appendleft(stretch[number:])
        number -= len(taken[-1])
    return taken


def _divided(changes: list[Change], number: int) -> tuple[list[Change], list[Change]]:
    """The first so many entries, and the rest."""
    first, rest = [], []
    for change in changes:
        entries, here = range(len(change.keys)), max(0, number - number_of_entries(first))
        for part, positions in ((first, entries[:here]), (rest, entries[here:])):
            if positions:
                part.append(change._replace(before=change.before.at(positions)))
    return first, rest


def ipv6_lengths(changes: list[Change]) -> Counter:
    """How many of the entries are IPv6 networks of which prefix length."""
    return Counter(key[0] for change in changes if change.kind == "network6" for key in change.keys)


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


def open_list_maps(pins: Pins, name: str, number: int) -> dict[str, bpf.Map]:
    """The maps of a list that exists, of this schema. The records' size is the capacity that the indexes must have too."""
    with _required(pins, pins.list_pin(name, "records"), None) as records:
        capacity = records.info.max_entries
    expected = schema.of_schema(schema.list_maps(capacity), number)
    return {map_name: _required(pins, pins.list_pin(name, map_name), info) for map_name, info in expected.items()}


def _required(pins: Pins, path: str, info: bpf.MapInfo | None) -> bpf.Map:
    found = pins.open(path, info)
    if not found:
        raise PingKillerError(f"{path} is missing: run xdp_filter with state=absent and set the filter up again")
    return found


@contextlib.contextmanager
def opened_list(pins_: Pins, name: str) -> Iterator[EntryList | None]:
    """One list, or None on a host that has no state."""
    with opened(pins_) as host:
        if host is None:
            yield None
            return
        with EntryList(pins_, name, host) as entries:
            yield entries
