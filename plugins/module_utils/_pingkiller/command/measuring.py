# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what ``pingkiller metrics`` writes. Compiles nothing, takes no lock, and looks at no entry of a list."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import VERSION
from ..kept import deployments
from ..kept.directory import Store
from ..kernel import schema
from ..report import filter_facts, verdicts
from ..store import filter_meta, hooks, host_maps
from ..store.control import Control
from ..store.pins import Pins
from . import host, wanted
from .metric_file import COUNTER, GAUGE, HISTOGRAM, Metric, Sample
from .wanted import Noted

#: The buckets of the histogram: of the times below 2^number ns. Bucket number - 1 of the map is the last one in it.
_BUCKETS = range(6, 21)  # 63 ns to 1 ms

#: Options of a note that say nothing about how a filter is to be.
_NOT_COMPARED = ("force", "hook")


class Measured(NamedTuple):
    """All metrics, and what is wrong with the wanted state, as sentences."""

    metrics: list[Metric]
    faults: list[str]


class _Filter(NamedTuple):
    """A filter that the host has, or should have."""

    labels: dict[str, str]
    facts: dict[str, Any]  #: what xdp_facts returns of it; empty if it has no maps
    times: dict[str, int]  #: the fields of ``schema.TIMING``
    is_wanted: bool

    @property
    def is_attached(self) -> bool:
        return bool(self.facts) and self.facts["mode"] != "none"


class _List(NamedTuple):
    labels: dict[str, str]
    entries: int
    capacity: int  #: 0 where there are no lists


def measure(store: Store) -> Measured:
    """Return the metrics of this host. Raises PingKillerError for maps that are not PingKiller's."""
    pins = Pins(host.base(store))
    pins.check_mount()
    pins = pins.in_use()
    noted = wanted.noted(store)
    filters, lists = _filters(pins, noted), list(_lists(pins))
    drifted = _drifted(pins, store, noted=noted, filters=filters, lists=lists)
    build = Metric("pingkiller_build_info", GAUGE, "Version of PingKiller.", [Sample({"version": VERSION}, 1)])
    metrics = [build, *_of_states(filters), *_of_packets(filters), *_of_times(filters), *_of_lists(lists), drifted]
    metrics.append(_deployed(store))
    return Measured(metrics, noted.faults)


def _filters(pins: Pins, noted: Noted) -> list[_Filter]:
    present = pins.filters()
    asked = {*noted.filters, *noted.owned}
    filters = []
    for name in sorted({*present, *asked}):
        interface, hook = hooks.split_name(name)
        is_there = name in present
        filters.append(
            _Filter(
                labels={"interface": interface, "hook": hook},
                facts=filter_facts.collect(pins, name, 0) if is_there else {},
                times=filter_facts.times(pins, name) if is_there else {},
                is_wanted=name in asked,
            )
        )
    return filters


def _lists(pins: Pins) -> Iterator[_List]:
    """Yield the lists. Counts include entries that have expired: telling these apart would mean looking at all."""
    with host_maps.opened(pins) as maps, contextlib.ExitStack() as stack:
        control = stack.enter_context(contextlib.closing(Control(maps.control))) if maps else None
        for name in schema.LISTS:
            count = capacity = 0
            if control:
                records = pins.open_map(pins.list_pin(name, "records"))
                if records:
                    with records:
                        count, capacity = control.count(name), records.info.max_entries
            yield _List({"list": name}, count, capacity)


def _of_states(filters: list[_Filter]) -> list[Metric]:
    attached = [each for each in filters if each.is_attached]
    return [
        Metric(
            "pingkiller_filter_wanted",
            GAUGE,
            "Whether the host should have this filter.",
            [Sample(each.labels, int(each.is_wanted)) for each in filters],
        ),
        Metric(
            "pingkiller_filter_attached",
            GAUGE,
            "Whether this filter is attached.",
            [Sample(each.labels, int(each.is_attached)) for each in filters],
        ),
        Metric(
            "pingkiller_filter_info",
            GAUGE,
            "Mode and options of an attached filter.",
            [Sample({**each.labels, **_info(each.facts)}, 1) for each in attached],
        ),
    ]


def _info(facts: dict[str, Any]) -> dict[str, str]:
    options = facts["options"]
    return {
        "mode": facts["mode"],
        "policy": str(options.get("policy", "")),
        "monitor": str(options.get("monitor", "")).lower(),
    }


def _of_packets(filters: list[_Filter]) -> list[Metric]:
    there = [each for each in filters if each.facts]
    limiting = [(each, each.facts["ratelimit"]) for each in there if each.facts["ratelimit"]]
    return [
        Metric(
            f"pingkiller_{what}_total",
            COUNTER,
            f"{what.capitalize()} that a filter has judged.",
            [sample for each in there for sample in _counted(each, what)],
        )
        for what in ("packets", "bytes")
    ] + [
        Metric(
            "pingkiller_ratelimit_sources",
            GAUGE,
            "Sources that the rate limit keeps count of.",
            [Sample(each.labels, told["sources"]) for each, told in limiting],
        ),
        Metric(
            "pingkiller_ratelimit_blocked_sources",
            GAUGE,
            "Sources that the rate limit blocks, or would block in monitor mode.",
            [Sample(each.labels, told["blocked_count"] + told["would_block_count"]) for each, told in limiting],
        ),
        Metric(
            "pingkiller_events_total",
            COUNTER,
            "Events that a filter has sent to listeners, suppressed or lost.",
            [
                Sample({**each.labels, "outcome": outcome}, number)
                for each in there
                for outcome, number in (each.facts["events"] or {}).items()
            ],
        ),
    ]


def _counted(each: _Filter, what: str) -> Iterator[Sample]:
    counters = each.facts["counters"]
    for reasons, monitored in ((counters["reasons"], False), (counters["would_drop"]["reasons"], True)):
        for reason, families in reasons.items():
            dropping = verdicts.WOULD_DROP if monitored else verdicts.DROP
            verdict = dropping if reason in schema.DROP_REASONS else verdicts.PASS
            for family, cell in families.items():
                yield Sample({**each.labels, "verdict": verdict, "reason": reason, "family": family}, cell[what])


def _of_times(filters: list[_Filter]) -> list[Metric]:
    samples = [
        sample
        for each in filters
        for verdict, name in zip(schema.VERDICTS, (verdicts.PASS, verdicts.DROP))
        if each.times
        for sample in _histogram(each, verdict, {**each.labels, "verdict": name})
    ]
    return [Metric("pingkiller_processing_seconds", HISTOGRAM, "How long a filter takes for a packet.", samples)]


def _histogram(each: _Filter, verdict: str, labels: dict[str, str]) -> Iterator[Sample]:
    """Yield the sum of buckets up to each boundary. Bucket b of the map has the times from 2^b to 2^(b+1) - 1 ns."""
    buckets = [each.times[f"{verdict}.bucket{number}"] for number in range(schema.TIMING_BUCKETS)]
    for number in _BUCKETS:
        yield Sample({**labels, "le": repr((2**number - 1) / 10**9)}, sum(buckets[:number]), "_bucket")
    yield Sample({**labels, "le": "+Inf"}, sum(buckets), "_bucket")
    yield Sample(labels, each.times[f"{verdict}.sum"] / 10**9, "_sum")
    yield Sample(labels, sum(buckets), "_count")


def _of_lists(lists: list[_List]) -> list[Metric]:
    return [
        Metric(
            "pingkiller_list_entries",
            GAUGE,
            "Entries of a list, with expired ones that are still there.",
            [Sample(each.labels, each.entries) for each in lists],
        ),
        Metric(
            "pingkiller_list_capacity_entries",
            GAUGE,
            "Entries that a list has room for.",
            [Sample(each.labels, each.capacity) for each in lists],
        ),
    ]


def _drifted(pins: Pins, store: Store, *, noted: Noted, filters: list[_Filter], lists: list[_List]) -> Metric:
    """Count what is not as wanted: filters, their options, lists that are not there, files that cannot be read."""
    missing = [each for each in filters if each.is_wanted and not each.is_attached]
    others = [name for name, options in noted.filters.items() if _differs(pins, name, options)]
    lost = [each for each in lists if not each.capacity and store.names("entries", each.labels["list"])]
    number = len(missing) + len(others) + len(lost) + len(noted.faults)
    text = "Filters, lists and files of the wanted state that are not as they should be."
    return Metric("pingkiller_drift_items", GAUGE, text, [Sample({}, number)])


def _differs(pins: Pins, name: str, options: dict[str, Any]) -> bool:
    """Whether a filter is attached with other options than these."""
    found = filter_meta.running(pins, name)
    if found is None or not found.reads_current_lists:
        return found is not None
    return any(found.noted.options.get(key) != value for key, value in options.items() if key not in _NOT_COMPARED)


def _deployed(store: Store) -> Metric:
    when = deployments.last(store)
    samples = [Sample({}, when)] if when is not None else []
    return Metric("pingkiller_last_deploy_timestamp_seconds", GAUGE, "When the role last ended a deployment.", samples)
