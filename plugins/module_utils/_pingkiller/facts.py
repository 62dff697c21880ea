# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's filters and lists look like now. Reads only, compiles nothing, and takes no lock."""

from __future__ import annotations

import os
import time
from itertools import islice

from . import VERSION, addresses, filters, lists, schema, state
from .lists import EntryList
from .pins import Pins

_NOT_ICMP, _OTHER = schema.REASONS.index("not_icmp"), schema.FAMILIES.index("other")


def collect(base: str, list_limit: int = 1000, top: int = 10) -> dict:
    """The facts. A host without state gives empty ones. Raises PingKillerError without root."""
    state.require_root()
    pins = Pins(base)
    pins.check_mount()
    return {
        "schema": schema.SCHEMA_VERSION,
        "version": VERSION,
        "kernel": os.uname().release,
        "filters": {name: _filter_facts(pins, name) for name in pins.filters()},
        "lists": {name: _list_facts(pins, name, list_limit, top) for name in schema.LISTS},
    }


def _filter_facts(pins: Pins, interface: str) -> dict:
    """A filter whose interface or program has gone has ``mode: none`` and keeps its counters."""
    now = filters.running(pins, interface) or {"mode": "none"}
    info = now.get("info")
    program = None
    if info:
        loaded_at = now.get("attached_at") or _from_boot(info.load_time)
        program = {"id": info.id, "name": info.name, "tag": info.tag, "loaded_at": _iso(loaded_at)}
    return {
        "hook": "xdp",
        "mode": now["mode"],
        "mode_reason": now.get("mode_reason"),
        "program": program,
        "build_id": now.get("build_id"),
        "options": now.get("options", {}),
        "counters": _counters(pins, interface),
    }


def _counters(pins: Pins, interface: str) -> dict:
    """Packets and bytes, passed and dropped, by reason and family; the sum over all CPUs."""
    reasons = {}
    for number, (packets, size) in enumerate(_cells(pins, interface)):
        reason, family = divmod(number, len(schema.FAMILIES))
        by_family = reasons.setdefault(schema.REASONS[reason], {})
        if reason == _NOT_ICMP or family != _OTHER:  # what is no IP is no ICMP
            by_family[schema.FAMILIES[family]] = {"packets": packets, "bytes": size}
    totals = {"passed": {"packets": 0, "bytes": 0}, "dropped": {"packets": 0, "bytes": 0}}
    for reason, by_family in reasons.items():
        total = totals["dropped" if reason in schema.DROP_REASONS else "passed"]
        for cell in by_family.values():
            total["packets"] += cell["packets"]
            total["bytes"] += cell["bytes"]
    return {**totals, "reasons": reasons}


def _cells(pins: Pins, interface: str) -> list[tuple[int, int]]:
    found = pins.open(pins.filter(interface, "counters"), schema.FILTER_MAPS["counters"])
    values: list[bytes] = []
    if found:
        with found:
            values = found.lookup_percpu(schema.ZERO)
    per_cpu = [list(schema.COUNTER.iter_unpack(value)) for value in values]
    return [(sum(cell[0] for cell in cells), sum(cell[1] for cell in cells)) for cells in zip(*per_cpu)]


def _list_facts(pins: Pins, name: str, limit: int, top: int) -> dict:
    with state.opened_list(pins, name) as entries:
        if entries is None:
            return {"count": 0, "capacity": 0, "truncated": False, "entries": [], "top": []}
        slots = list(islice(entries.slots(), limit))
        shown = sorted(slots, key=lambda slot: addresses.sort_key(entries.records.key(slot)))
        return {
            "count": entries.count,
            "capacity": entries.capacity,
            "truncated": entries.count > len(shown),
            "entries": [_entry_facts(entries, slot) for slot in shown],
            "top": [_entry_facts(entries, slot) for slot in entries.top(top)],
        }


def _entry_facts(entries: EntryList, slot: int) -> dict:
    packets, size, last_seen = entries.records.read(slot)[:3]
    claims = entries.claims(slot)
    sides = tuple(side for side, until in enumerate(entries.records.untils(slot)) if until)
    return {
        "ip": addresses.display(entries.records.key(slot)),
        "owners": sorted(claims),
        "direction": lists.direction(sides) if sides else None,
        "packets": packets,
        "bytes": size,
        "last_seen": _iso(_from_monotonic(last_seen)) if last_seen else None,
    }


def _from_boot(nanoseconds: int) -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + nanoseconds / 1e9


def _from_monotonic(nanoseconds: int) -> float:
    return time.time() - time.monotonic() + nanoseconds / 1e9


def _iso(seconds: float) -> str:
    """UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(round(seconds)))
