# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the maps of a list agree again, after an interrupted change or a change by somebody else."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import compress

from ..entries.claims import effective
from ..kernel import schema
from .control import matching_columns
from .indexes import Indexes
from .list_maps import ListMaps
from .owners import SEVERAL
from .records import Alike, Records


def repair(maps: ListMaps) -> None:
    """Make indexes, records, claims and counts agree. The list must be marked as dirty meanwhile.

    An entry stays on the list if both an index and its record say that it is there.
    """
    maps.shared_claims.forget_strays(lambda key: _is_shared(maps, key))
    maps.comments.forget_strays(lambda key, owner: _is_claimed(maps, key, owner))
    indexed = maps.indexes.read()
    _remove_dangling(maps.indexes, maps.records, indexed)
    for alike in maps.records.alike():
        maps.records.free(strays(maps.records, alike, indexed[alike.signature.kind].get))
    _follow_claims(maps)
    maps.control.recount(maps.name, _counted(maps.records.alike()))


def strays(records: Records, alike: Alike, find: Callable[[bytes], int | None]) -> set[int]:
    """Return the slots that no index names; an interrupted change leaves such slots. ``find`` asks the index."""
    indexed = map(find, records.keys(*alike))
    return set(compress(alike.slots, map(operator.ne, indexed, alike.slots)))


def _is_shared(maps: ListMaps, key: bytes) -> bool:
    slot = maps.slot_of(key)
    return slot is not None and maps.records.owner(slot) == SEVERAL


def _is_claimed(maps: ListMaps, key: bytes, owner: int) -> bool:
    slot = maps.slot_of(key)
    number = None if slot is None else maps.records.owner(slot)
    return number == owner or (number == SEVERAL and maps.known_owners.name(owner) in maps.shared_claims.of(key))


def _remove_dangling(indexes: Indexes, records: Records, indexed: dict[str, dict[bytes, int]]) -> None:
    """Remove keys from the indexes whose slot holds no record of theirs. Only somebody else's change leaves such keys."""
    dangling = {kind: set(keys) for kind, keys in indexed.items()}
    for alike in records.alike():
        kind, keys = alike.signature.kind, records.keys(*alike)
        slots = map(indexed[kind].get, keys)
        dangling[kind].difference_update(compress(keys, map(operator.eq, slots, alike.slots)))
    for kind, keys_left in dangling.items():
        indexes.remove(kind, keys_left)


def _follow_claims(maps: ListMaps) -> None:
    """Let the record of each entry with several owners say what follows from their claims."""
    for alike in maps.records.alike():
        if alike.signature.owner == SEVERAL:
            for key, slot in zip(maps.records.keys(*alike), alike.slots):
                maps.records.edit(slot, effective(maps.shared_claims.of(key)), SEVERAL)


def _counted(entries: Iterable[Alike]) -> dict[str, Counter[str]]:
    """Return how many entries there are, by kind and by column of ``schema.POPULATION``."""
    counted: dict[str, Counter[str]] = {kind: Counter() for kind in schema.KINDS}
    for signature, slots in entries:
        for column in ("entries", *matching_columns(signature.untils)):
            counted[signature.kind][column] += len(slots)
    return counted
