# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the probes ``syscalls`` and ``syscall``: counts of calls, added up over CPUs and outcomes, and their times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..histogram import percentile
from ..kernel import bpf
from . import layout
from .layout import Counted, RowKey

_PERCENTILES = (50, 90, 99)


class Row(NamedTuple):
    """The calls with one key, in which ``error`` is 0."""

    key: RowKey
    counted: Counted
    errors: Counter[int]  #: calls by errno

    @classmethod
    def of(cls, key: RowKey, outcomes: dict[int, Counted]) -> Row:
        """Make a row of its counts by errno, where 0 is success."""
        errors = {error: counted.calls for error, counted in outcomes.items() if error and counted.calls}
        return cls(key, layout.total(list(outcomes.values())), Counter(errors))

    def latency(self) -> dict[str, Any]:
        """Return the times in ns. They are None if no call was measured, as when calls never return."""
        counted = self.counted
        buckets = list(counted.buckets)
        measured = sum(buckets)
        percentiles = {f"p{percent}_ns": percentile(buckets, percent) for percent in _PERCENTILES}
        return {
            "total_ns": counted.ns,
            "average_ns": round(counted.ns / measured) if measured else None,
            **{name: None if value is None else min(value, counted.longest) for name, value in percentiles.items()},
            "max_ns": counted.longest if measured else None,
            "histogram": list(_histogram(buckets)),
        }


def read(table: bpf.Map) -> list[Row]:
    """Read the rows that have calls from the map ``rows``."""
    outcomes: dict[RowKey, dict[int, Counted]] = {}
    for packed, values in table.read_all():
        key = RowKey.unpack(packed)
        used = [value for value in table.split_percpu(values) if value != bytes(len(value))]
        outcomes.setdefault(key._replace(error=0), {})[key.error] = layout.total(list(map(Counted.unpack, used)))
    rows = (Row.of(key, by_error) for key, by_error in outcomes.items())
    return [row for row in rows if row.counted.calls]


def histogram(rows: Iterable[Row]) -> list[dict[str, int]]:
    """Return how many calls of all rows took how long: the buckets that are not empty, shortest times first."""
    return list(_histogram([sum(calls) for calls in zip(*(row.counted.buckets for row in rows))]))


def _histogram(buckets: list[int]) -> Iterator[dict[str, int]]:
    for number, calls in enumerate(buckets):
        if calls:
            yield {"from_ns": 1 << number if number else 0, "to_ns": (2 << number) - 1, "calls": calls}
