# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add up rows of traces, over all hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.histogram import percentile

#: The keys that mean the same on all hosts. Processes and descriptors belong to one host.
KEYS = ("user", "comm", "syscall")
SUMS = ("calls", "bytes", "total_ns", "clone", "fork", "vfork", "clone3", "exec", "exit")
PARTS = ("errors", "small", "slow")  #: mappings of sums
PERCENTS = (50, 90, 99)
_BUCKETS = 64

#: A row, with the keys that its probe has.
Row = dict[str, Any]


def merged(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Add up the rows with the same keys. Sorts by time, or by events if there are no times, largest first.

    Percentiles come from the added histograms and are as exact as these. May raise any exception for rows that make no
    sense.
    """
    found: dict[tuple[tuple[str, str], ...], Row] = {}
    for row in rows:
        key = tuple((name, row[name]) for name in KEYS if name in row)
        _add(found.setdefault(key, dict(key)), row)
    return sorted(map(_finished, found.values()), key=_weight, reverse=True)


def _add(into: Row, row: Mapping[str, Any]) -> None:
    for name in SUMS:
        if row.get(name) is not None:
            into[name] = into.get(name, 0) + row[name]
    for name in PARTS:
        if name in row:
            into.setdefault(name, Counter()).update(row[name])
    if "max_ns" in row:
        into["max_ns"] = max(into.get("max_ns", 0), row["max_ns"])
        buckets = into.setdefault("histogram", [0] * _BUCKETS)
        for bucket in row["histogram"]:
            buckets[max(0, bucket["from_ns"].bit_length() - 1)] += bucket["calls"]


def _finished(row: Row) -> Row:
    """Replace the histogram by the times computed from it."""
    buckets = row.pop("histogram", None)
    if buckets is None:
        return row
    times = {f"p{percent}_ns": min(percentile(buckets, percent), row["max_ns"]) for percent in PERCENTS}
    return {**row, **times, "average_ns": round(row["total_ns"] / sum(buckets))}


def _weight(row: Row) -> tuple[int, int]:
    return row.get("total_ns", 0), sum(row.get(name, 0) for name in SUMS if name not in ("bytes", "total_ns"))
