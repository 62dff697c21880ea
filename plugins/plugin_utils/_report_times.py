# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processing times of a fleet as histograms, with the places and sizes of their bars."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import tables
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.histogram import percentile
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import HostStatus

WIDTH, HEIGHT = 320, 96  #: of a picture, without the line of labels
_BUCKETS = 40  #: 2**40 ns are 18 minutes
_FEWEST_BARS = 8
_LABELS = 4
_SLOWEST = 3


class Bar(NamedTuple):
    """A bucket. Places and sizes are in units of the picture."""

    x: float
    y: float
    width: float
    height: float
    label: str  #: where the bucket begins, if it is to stand below; else empty
    span: str  #: the times of its frames
    frames: int


class Times(NamedTuple):
    """The frames of one verdict on all hosts that measure. Times are texts."""

    verdict: str
    frames: int
    hosts: int
    average: str
    p50: str
    p99: str
    bars: list[Bar]
    slowest: list[tuple[str, str]]  #: hosts with their p99


def histograms(statuses: list[HostStatus]) -> list[Times]:
    """Add up the times of all hosts. A verdict without measured frames is left out."""
    return [found for verdict in ("passed", "dropped") if (found := _times(statuses, verdict))]


def _times(statuses: list[HostStatus], verdict: str) -> Times | None:
    measured = [(each.host, each.details.processing[verdict]) for each in statuses if _has(each, verdict)]
    buckets = [0] * _BUCKETS
    for _host, times in measured:
        for number, frames in enumerate(times.buckets):
            buckets[min(number, _BUCKETS - 1)] += frames
    frames = sum(times.count for _host, times in measured)
    if not frames or not any(buckets):
        return None
    slowest = sorted(measured, key=lambda item: -item[1].p99)[:_SLOWEST]
    return Times(
        verdict=verdict,
        frames=frames,
        hosts=len(measured),
        average=tables.time(sum(times.count * times.average for _host, times in measured) // frames),
        p50=tables.time(percentile(buckets, 50)),
        p99=tables.time(percentile(buckets, 99)),
        bars=_bars(buckets),
        slowest=[(host, tables.time(times.p99)) for host, times in slowest],
    )


def _has(each: HostStatus, verdict: str) -> bool:
    return bool(each.details and verdict in each.details.processing and each.details.processing[verdict].count)


def _bars(buckets: list[int]) -> list[Bar]:
    used = [number for number, frames in enumerate(buckets) if frames]
    first = max(0, used[0] - 1)
    numbers = range(first, min(_BUCKETS, max(used[-1] + 2, first + _FEWEST_BARS)))
    most, width = max(buckets), WIDTH / len(numbers)
    every = -(-len(numbers) // _LABELS)
    bars = []
    for place, number in enumerate(numbers):
        height = round(HEIGHT * buckets[number] / most, 1)
        if buckets[number]:
            height = max(1.0, height)
        label = tables.time(1 << number) if place % every == 0 else ""
        span = f"{tables.time(1 << number)} to {tables.time((2 << number) - 1)}"
        bars.append(
            Bar(
                round(place * width, 1),
                round(HEIGHT - height, 1),
                round(width - 2, 1),
                height,
                label,
                span,
                buckets[number],
            )
        )
    return bars
