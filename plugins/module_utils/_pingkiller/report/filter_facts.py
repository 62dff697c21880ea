# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of one filter: its program, options and counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from .. import durations
from ..entries import addresses
from ..histogram import percentile
from ..kernel import bpf, schema
from ..kernel.layout import Layout
from ..store import filter_meta, filter_programs, hooks, host_maps
from ..store.pins import Pins

#: The families of packets with these reasons. Packets with any other reason are ICMP, and so IPv4 or IPv6.
_FAMILIES = {"not_icmp": schema.FAMILIES, "unclassified": schema.FAMILIES, "too_many_tags": ("other",)}

_PERCENTILES = (50, 90, 99)


class Tally(NamedTuple):
    """A number of packets, and how long they were together."""

    packets: int
    bytes: int


def collect(pins: Pins, name: str, limit: int) -> dict[str, Any]:
    """Return the facts of a filter. Without its program or interface it has ``mode: none`` and keeps its counters.

    ``limit`` is how many sources to return that the rate limit blocks.
    """
    now = filter_meta.running(pins, name)
    noted = now.noted if now else filter_meta.Noted()
    interface, hook = hooks.split_name(name)
    return {
        "interface": interface,
        "hook": hook,
        "mode": now.mode if now else "none",
        "mode_reason": noted.mode_reason,
        "program": _program(now) if now else None,
        "build_id": noted.build_id,
        "options": noted.options,
        "counters": counters(pins, name),
        "processing_time": _processing_time(pins, name, noted.options.get("timing_sample", 0)),
        "ratelimit": _ratelimit(pins, name, noted.options, limit=limit),
        "events": _event_counts(pins, name),
    }


def notes(pins: Pins, name: str) -> list[str]:
    """Return sentences about problems that the facts of a filter do not show."""
    found = filter_programs.running(pins, name)
    if not found:
        return filter_programs.goes_on_notes(pins, name)
    if filter_programs.reads_lists(pins, found.info):
        return _loan_notes(name, filter_meta.read(pins, name), found.info.id)
    return [f"the filter on {name} reads other lists than those that are shown: run xdp_filter, which puts that right"]


def _loan_notes(name: str, noted: filter_meta.Noted, program: int) -> list[str]:
    if not noted.lent or noted.program_id != program:
        return []
    options = ", ".join(f"{option}={noted.options.get(option)} (else {value})" for option, value in noted.lent.items())
    return [
        f"the filter on {name} has for a while, to be looked at by pingkiller top: {options}; top puts this back when it ends, or "
        f"pingkiller top --count 1 if it was killed"
    ]


def _program(found: filter_meta.RunningFilter) -> dict[str, Any]:
    info = found.info
    loaded_at = found.noted.attached_at or durations.from_boot(info.load_time)
    return {"id": info.id, "name": info.name, "tag": info.tag, "loaded_at": durations.iso(loaded_at)}


# Counters


def counters(pins: Pins, name: str) -> dict[str, Any]:
    """Return packets and bytes by reason and family. What monitor mode would have dropped has passed."""
    sums = map_sums(pins, name, "counters", info=schema.FILTER_MAPS["counters"])
    reasons = {reason: _by_family(sums, reason, reason) for reason in schema.REASONS}
    would_drop = {reason: _by_family(sums, reason, f"would_drop.{reason}") for reason in schema.DROP_REASONS}
    passed, dropped = ([reasons[reason] for reason in group] for group in (schema.PASS_REASONS, schema.DROP_REASONS))
    return {
        "passed": _total([*passed, *would_drop.values()]),
        "would_drop": {**_total(would_drop.values()), "reasons": _as_dicts(would_drop)},
        "dropped": _total(dropped),
        "reasons": _as_dicts(reasons),
    }


def _by_family(sums: Counter[str], reason: str, counted: str) -> dict[str, Tally]:
    """Return what was counted for a reason, under the name ``counted`` in the layout of the counters."""
    return {
        family: Tally(packets=sums[f"{counted}.{family}.packets"], bytes=sums[f"{counted}.{family}.bytes"])
        for family in _FAMILIES.get(reason, ("ipv4", "ipv6"))
    }


def _total(reasons: Iterable[dict[str, Tally]]) -> dict[str, int]:
    tallies = [tally for by_family in reasons for tally in by_family.values()]
    return Tally(packets=sum(tally.packets for tally in tallies), bytes=sum(tally.bytes for tally in tallies))._asdict()


def _as_dicts(reasons: dict[str, dict[str, Tally]]) -> dict[str, dict[str, dict[str, int]]]:
    return {
        reason: {family: tally._asdict() for family, tally in by_family.items()}
        for reason, by_family in reasons.items()
    }


def map_sums(pins: Pins, name: str, pin: str, *, info: bpf.MapInfo) -> Counter[str]:
    """Return the fields of a per-CPU map of a filter, each the sum over all CPUs; empty if there is no such map."""
    layout = schema.layouts(host_maps.schema_number(pins))[pin]
    found = pins.open_map(pins.filter_pin(name, pin), info._replace(value_size=layout.size))
    if found is None:
        return Counter()
    with found:
        return sums_over_cpus(found, layout)


def sums_over_cpus(found: bpf.Map, layout: Layout) -> Counter[str]:
    """Return the fields of a per-CPU map with one element, each the sum over all CPUs."""
    sums: Counter[str] = Counter()
    for value in found.lookup_percpu(schema.ZERO):
        sums.update(layout.unpack(value))
    return sums


# Options that count something of their own


def _processing_time(pins: Pins, name: str, sample: int) -> dict[str, Any] | None:
    """Return the processing times of passed and of dropped frames, in ns. None if they were never measured."""
    sums = times(pins, name)
    return {"sample": sample, **{verdict: times_of(sums, verdict) for verdict in schema.VERDICTS}} if sums else None


def times(pins: Pins, name: str) -> Counter[str]:
    """Return the fields of ``schema.TIMING``, each the sum over all CPUs; empty if the filter never measured its time."""
    return map_sums(pins, name, "timing", info=schema.TIMING_MAP)


def times_of(sums: Counter[str], verdict: str) -> dict[str, int | None]:
    """Return the processing times of passed or of dropped frames, in ns, of the fields that ``times`` returns."""
    count = sums[f"{verdict}.count"]
    counted = buckets(sums, verdict)
    return {
        "count": count,
        "average": round(sums[f"{verdict}.sum"] / count) if count else None,
        **{f"p{percent}": percentile(counted, percent) for percent in _PERCENTILES},
    }


def buckets(sums: Counter[str], verdict: str) -> list[int]:
    """Return the histogram of these times: the frames that took from 2^i to 2^(i+1)-1 ns."""
    return [sums[f"{verdict}.bucket{number}"] for number in range(schema.TIMING_BUCKETS)]


def _ratelimit(pins: Pins, name: str, options: dict[str, Any], *, limit: int) -> dict[str, Any] | None:
    """Return the sources that are blocked, the longest remaining time first. None without a rate limit.

    In monitor mode no source is blocked; these are the sources that would be.
    """
    found = pins.open_map(pins.filter_pin(name, "sources"))
    if found is None:
        return None
    now = durations.boot_time()
    with found:
        sources = [(key, schema.SOURCE_STATE.unpack(value)["blocked_until"]) for key, value in found.read_all()]
    over = sorted(((until, key) for key, until in sources if until > now), reverse=True)
    ipv6_prefix = options.get("ratelimit_ipv6_prefix", 128)
    shown = [
        {"ip": source_name(key, ipv6_prefix), "seconds_left": durations.rounded_up(until - now)}
        for until, key in over[:limit]
    ]
    told = {"sources": len(sources), "blocked_count": 0, "blocked": [], "would_block_count": 0, "would_block": []}
    verb = "would_block" if options.get("monitor") else "blocked"
    return {**told, f"{verb}_count": len(over), verb: shown}


def source_name(key: bytes, ipv6_prefix: int) -> str:
    """Return an IPv4 address, or the IPv6 prefix whose addresses count as one source."""
    source = schema.SOURCE_KEY.unpack(key)
    if schema.FAMILIES[source["family"]] == "ipv4":
        return addresses.display(source["address"][:4])
    return addresses.display(source["address"]) + (f"/{ipv6_prefix}" if ipv6_prefix < 128 else "")


def _event_counts(pins: Pins, name: str) -> dict[str, int] | None:
    """Return the number of events since the filter first reported any. None if it never did."""
    sums = map_sums(pins, name, "event_budget", info=schema.EVENT_BUDGET_MAP)
    return {field: sums[field] for field in ("sent", "suppressed", "lost")} if sums else None
