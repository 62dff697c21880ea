# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of one list: counts, some of its entries, and the busiest ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from ..entries import addresses
from ..entries.claims import comment_of
from ..store.entry_list import EntryList, opened_list
from ..store.pins import Pins
from . import list_file
from .validity import moment, validity


def collect(pins: Pins, name: str, *, limit: int, top: int, dest: str | None) -> dict[str, Any]:
    """Return the facts of a list, with up to ``limit`` entries and the ``top`` busiest ones.

    With ``dest``, a directory, a file there gets all entries.
    """
    with opened_list(pins, name) as entries:
        file = {"file": list_file.write(entries, name, dest)} if dest is not None else {}
        if entries is None:
            return {"count": 0, "capacity": 0, "truncated": False, "entries": [], "top": [], **file}
        live = chain.from_iterable(zip(entries.records.keys(*alike), alike.slots) for alike in entries.live())
        shown = sorted(islice(live, limit), key=lambda entry: addresses.sort_key(entry[0]))
        count = entries.count
        return {
            "count": count,
            "capacity": entries.capacity,
            "truncated": count > len(shown),
            "entries": [_described(entries, key, slot) for key, slot in shown],
            "top": [_described(entries, key, slot) for key, slot in _busiest(entries, top)],
            **file,
        }


def _busiest(entries: EntryList, number: int) -> Iterator[tuple[bytes, int]]:
    for slot in entries.top(number):
        key = entries.records.key(slot)
        if key is not None:  # else another run has just removed the entry
            yield key, slot


def _described(entries: EntryList, key: bytes, slot: int) -> dict[str, Any]:
    counts = entries.records.counts(slot)
    valid = validity(entries.records.untils(slot))
    claims = entries.claims(slot)
    comment = comment_of(claims)
    return {
        "ip": addresses.display(key),
        "owners": sorted(claims),
        **({"comment": comment} if comment else {}),
        "direction": valid.direction,
        "expires_in": valid.seconds_left,
        "packets": counts.packets,
        "bytes": counts.bytes,
        "last_seen": moment(counts.last_seen),
    }
