# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the status of a host into the form of JSON, in few bytes: a fleet may have a thousand hosts."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import on_screen, shortened
from ..kernel import schema
from . import filter_facts
from .busiest import Source
from .status import Filter, Status
from .totals import Totals

if TYPE_CHECKING:
    from .explain import Explanation

Json = dict[str, Any]

_MOST, _MOST_WITH_DETAILS = 3700, 15000  #: bytes: with what Ansible adds, no more than 4 and 16 KB
_FILTERS, _DRIFT, _NOTES, _OWNERS, _OWNERS_OF_SOURCE = 8, 5, 3, 10, 3
_SENTENCE, _NAME, _COMMENT = 320, 64, 80  #: characters
_REASON = 800


def as_dict(found: Status, *, details: bool) -> Json:
    """Return a status as RETURN of the module xdp_status_info describes it."""
    filters = {shortened(name, _NAME): _of_filter(each) for name, each in list(found.filters.items())[:_FILTERS]}
    status = {
        "version": found.version and on_screen(found.version),
        "kernel": shortened(found.kernel, _NAME),
        "wanted": found.wanted,
        "filters": filters,
        "filters_left_out": len(found.filters) - len(filters),
        "drift": [_sentence(each) for each in found.drift[:_DRIFT]],
        "drift_left_out": max(0, len(found.drift) - _DRIFT),
        "lists": {name: {"count": each.entries, "capacity": each.capacity} for name, each in found.lists.items()},
        "counts": _of_totals(found.counted),
        "recent": {"seconds": round(found.seconds, 2), **_of_totals(found.recent)},
        "sources": [_of_source(each) for each in found.sources],
        "notes": [_sentence(each) for each in found.notes[:_NOTES]],
        **({"address": _of_explanation(found.explanation)} if found.explanation else {}),
        **(_details(found) if details else {}),
    }
    _fit(status, _MOST_WITH_DETAILS if details else _MOST)
    return status


def _of_filter(each: Filter) -> Json:
    return {
        "wanted": each.wanted,
        "mode": each.mode,
        "policy": each.policy,
        "monitor": each.monitor,
        **each.counted.by_verdict,
    }


def _of_totals(counted: Totals) -> Json:
    return {
        **counted.by_verdict,
        "reasons": {reason: packets for reason, packets in counted.reasons.items() if packets},
    }


def _of_source(each: Source) -> Json:
    return {
        "ip": each.ip,
        "packets": each.packets,
        "recent": each.recent,
        "reason": each.reason,
        "owners": list(each.owners[:_OWNERS_OF_SOURCE]),
    }


def _sentence(text: str) -> str:
    """Return a sentence of bounded length. Its advice comes last, so it is cut in its middle."""
    text, half = on_screen(text), _SENTENCE // 2
    return text if len(text) <= _SENTENCE else f"{text[:half]} ... {text[-half:]}"


def _of_explanation(found: Explanation) -> Json:
    from . import explain_text

    shown = explain_text.as_dict(found)
    deciding = (each.main.entry for each in found.filters if each.main.verdict == found.verdict)
    owners = {owner for entry in deciding if entry for owner in entry.claims}
    return {
        "ip": shown["ip"],
        "verdict": shown["verdict"],
        "reason": shortened(on_screen(shown["reason"]), _REASON),
        "owners": sorted(owners)[:_OWNERS],
    }


def _fit(status: Json, most: int) -> None:
    """Leave out what is least important until the status takes no more than so many bytes."""
    while len(json.dumps(status)) > most:
        if status["sources"][3:]:
            status["sources"].pop()
        elif status["notes"][1:]:
            status["notes"].pop()
        elif status["drift"][1:]:
            status["drift"].pop()
            status["drift_left_out"] += 1
        elif status["filters"]:
            status["filters"].popitem()
            status["filters_left_out"] += 1
        else:
            return


# Details


def _details(found: Status) -> Json:
    return {
        "reasons": _reasons(found),
        "processing": {verdict: _of_times(found.timing, verdict) for verdict in schema.VERDICTS},
        "owners": {name: dict(list(each.owners.items())[:_OWNERS]) for name, each in found.lists.items()},
        "comments": {each.ip: shortened(each.comment, _COMMENT) for each in found.sources if each.comment},
    }


def _reasons(found: Status) -> Json:
    """Return the packets of each reason by family, where there are any."""
    reasons: dict[str, Counter[str]] = {reason: Counter() for reason in schema.REASONS}
    for each in found.facts.values():
        for reason, by_family in each["counters"]["reasons"].items():
            reasons[reason].update({family: cell["packets"] for family, cell in by_family.items()})
    return {reason: dict(+by_family) for reason, by_family in reasons.items() if +by_family}


def _of_times(sums: Counter[str], verdict: str) -> Json | None:
    times = filter_facts.times_of(sums, verdict)
    if not times["count"]:
        return None
    shown = {name: times[name] for name in ("count", "average", "p50", "p99")}
    return {**shown, "buckets": filter_facts.buckets(sums, verdict)}
