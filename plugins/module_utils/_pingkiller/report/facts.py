# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's filters and lists look like now. Reads only, compiles nothing, and takes no lock."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from .. import VERSION, durations
from ..entries import addresses
from ..errors import PingKillerError, shortened
from ..histogram import percentile
from ..kernel import access, bpf, schema
from ..store import filter_meta, filter_programs, hooks, host_maps
from ..store.pins import Pins
from . import list_facts

#: Whose packets may be of no family, or of none that is known. What else is ICMP is IPv4 or IPv6.
_FAMILIES = {"not_icmp": schema.FAMILIES, "unclassified": schema.FAMILIES, "too_many_tags": ("other",)}


def collect(base: str, list_limit: int = 100, top: int = 10, dest: str | None = None) -> dict:
    """The facts. A host without state gives empty ones. Raises PingKillerError without root.

    With ``dest``, a directory, each list is also written there as a file.
    """
    for name, number in (("list_limit", list_limit), ("top", top)):
        if number < 0:
            raise PingKillerError(f"{name}={shortened(str(number))} is less than nothing: give 0 or more")
    access.require_root()
    pins = Pins(base)
    pins.check_mount()
    pins = pins.in_use()
    names = pins.filters()
    return {
        "schema": host_maps.schema_number(pins),
        "version": VERSION,
        "kernel": os.uname().release,
        "filters": {name: _filter_facts(pins, name, list_limit) for name in names},
        "notes": pins.warnings() + [note for name in names for note in _notes(pins, name)],
        "lists": {name: list_facts.collect(pins, name, list_limit, top, dest) for name in schema.LISTS},
    }


def _notes(pins: Pins, name: str) -> list[str]:
    """What the facts of a filter do not show, as sentences."""
    found = filter_programs.running(pins, name)
    if not found:
        return filter_programs.goes_on_notes(pins, name)
    if filter_programs.reads_lists(pins, found.info):
        return []
    return [f"the filter on {name} reads other lists than those that are shown: run xdp_filter, which puts that right"]


def _filter_facts(pins: Pins, interface: str, limit: int) -> dict:
    """A filter whose interface or program has gone has ``mode: none`` and keeps its counters."""
    now = filter_meta.running(pins, interface)
    noted = now.noted if now else filter_meta.Noted()
    options = noted.options
    return {
        "interface": hooks.split_name(interface)[0],
        "hook": hooks.split_name(interface)[1],
        "mode": now.mode if now else "none",
        "mode_reason": noted.mode_reason,
        "program": _program(now) if now else None,
        "build_id": noted.build_id,
        "options": options,
        "counters": _counters(pins, interface),
        "processing_time": _processing_time(pins, interface, options.get("timing_sample", 0)),
        "ratelimit": _ratelimit(pins, interface, limit, options),
        "events": _event_counts(pins, interface),
    }


def _program(found: filter_meta.RunningFilter) -> dict:
    info = found.info
    loaded_at = found.noted.attached_at or durations.from_boot(info.load_time)
    return {"id": info.id, "name": info.name, "tag": info.tag, "loaded_at": durations.iso(loaded_at)}


def _counters(pins: Pins, interface: str) -> dict:
    """Packets and bytes, by reason and family; the sum over all CPUs. What would be dropped but for monitor mode has passed."""
    sums: Counter = Counter()
    for value in _percpu(pins, interface, "counters", schema.FILTER_MAPS["counters"]):
        sums.update(schema.LAYOUTS["counters"].unpack(value))
    reasons = {reason: _by_family(sums, reason, reason) for reason in schema.REASONS}
    would_drop = {reason: _by_family(sums, reason, f"would_drop.{reason}") for reason in schema.DROP_REASONS}
    passed, dropped = ([reasons[each] for each in names] for names in (schema.PASS_REASONS, schema.DROP_REASONS))
    return {
        "passed": _total([*passed, *would_drop.values()]),
        "would_drop": {**_total(would_drop.values()), "reasons": would_drop},
        "dropped": _total(dropped),
        "reasons": reasons,
    }


def _by_family(sums: Counter, reason: str, counted: str) -> dict:
    """What was counted of a reason, under this name in the layout of the counters."""
    return {
        family: {what: sums[f"{counted}.{family}.{what}"] for what in ("packets", "bytes")}
        for family in _FAMILIES.get(reason, ("ipv4", "ipv6"))
    }


def _total(reasons: Iterable[dict]) -> dict:
    cells = [cell for by_family in reasons for cell in by_family.values()]
    return {what: sum(cell[what] for cell in cells) for what in ("packets", "bytes")}


def _percpu(pins: Pins, interface: str, name: str, info: bpf.MapInfo) -> list[bytes]:
    """One value for each CPU, in this version's layout whichever version made the map."""
    before, after = schema.layouts(host_maps.schema_number(pins))[name], schema.LAYOUTS[name]
    found = pins.open_map(pins.filter_pin(interface, name), info._replace(value_size=before.size))
    if found is None:
        return []
    with found:
        values = found.lookup_percpu(schema.ZERO)
    return values if before is after else [after.pack(**before.unpack(value)) for value in values]


def _processing_time(pins: Pins, interface: str, sample: int) -> dict | None:
    """Of passed and of dropped frames: how many were measured, their average and percentiles in ns. None if never on."""
    values = _percpu(pins, interface, "timing", schema.TIMING_MAP)
    if not values:
        return None
    result: dict = {"sample": sample}
    for number, verdict in enumerate(schema.VERDICTS):
        offset = schema.TIMING_HEAD.size + number * schema.TIMING.size
        columns = zip(*(schema.TIMING.unpack_from(value, offset) for value in values))
        count, total, *buckets = (sum(column) for column in columns)
        result[verdict] = {
            "count": count,
            "average": round(total / count) if count else None,
            **{f"p{percent}": percentile(buckets, percent) for percent in (50, 90, 99)},
        }
    return result


def _ratelimit(pins: Pins, interface: str, limit: int, options: dict) -> dict | None:
    """The sources that are blocked now, or would be but for monitor mode, the longest to come first. None without a limit."""
    found = pins.open_map(pins.filter_pin(interface, "sources"))
    if found is None:
        return None
    now = durations.boot_time()
    with found:
        sources = [(key, schema.SOURCE_STATE.unpack(value)[1]) for key, value in found.read_all()]
    over = sorted(((until, key) for key, until in sources if until > now), reverse=True)
    ipv6_prefix = options.get("ratelimit_ipv6_prefix", 128)
    shown = [
        {"ip": _source_name(key, ipv6_prefix), "seconds_left": -(-(until - now) // 10**9)}
        for until, key in over[:limit]
    ]
    told = {"sources": len(sources), "blocked_count": 0, "blocked": [], "would_block_count": 0, "would_block": []}
    name = "would_block" if options.get("monitor") else "blocked"
    return {**told, f"{name}_count": len(over), name: shown}


def _source_name(key: bytes, ipv6_prefix: int) -> str:
    """An IPv4 address, or the IPv6 prefix that was counted as one source."""
    family, address = schema.SOURCE_KEY.unpack(key)
    if schema.FAMILIES[family] == "ipv4":
        return addresses.display(address[:4])
    return addresses.display(address) + (f"/{ipv6_prefix}" if ipv6_prefix < 128 else "")


def _event_counts(pins: Pins, interface: str) -> dict | None:
    """Events since the filter first reported any. None if it never did."""
    values = _percpu(pins, interface, "event_budget", schema.EVENT_BUDGET_MAP)
    if not values:
        return None
    sent, suppressed, lost = (sum(c) for c in list(zip(*(schema.EVENT_BUDGET.unpack(value) for value in values)))[:3])
    return {"sent": sent, "suppressed": suppressed, "lost": lost}
