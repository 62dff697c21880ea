# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make tracer results in the form in which the library returns them."""

from __future__ import annotations


def result(probe: str, **more) -> dict:
    about = {"seconds": 5.0, "stopped": "duration", "lost": 0, "unfinished": 0, "outside": 0, "cost": None}
    return {"probe": probe, **about, **more}


def syscalls(*rows: dict, **more) -> dict:
    calls = sum(row["calls"] for row in rows)
    errors = sum(sum(row["errors"].values()) for row in rows)
    return result("syscalls", **{"calls": calls, "errors": errors, "rows_total": len(rows), "rows": list(rows), **more})


def row(comm: str, syscall: str, calls: int, **more) -> dict:
    return {"comm": comm, "syscall": syscall, "calls": calls, "errors": {}, **more}


def timed(calls_by_bucket: dict[int, int]) -> dict:
    """Return the timing fields of a row. A key b stands for calls that took 2^b to 2^(b+1) - 1 ns."""
    calls, total = sum(calls_by_bucket.values()), sum(calls << bucket for bucket, calls in calls_by_bucket.items())
    histogram = [{"from_ns": 1 << b, "to_ns": (2 << b) - 1, "calls": calls} for b, calls in calls_by_bucket.items()]
    percentiles = dict.fromkeys(("p50_ns", "p90_ns", "p99_ns", "max_ns"), 1 << max(calls_by_bucket))
    return {"total_ns": total, "average_ns": total // calls, **percentiles, "histogram": histogram}


def processes(counts: list[dict], events: list[dict] = (), **more) -> dict:
    names = ("clone", "fork", "vfork", "clone3", "exec", "exit")
    total = {name: sum(each.get(name, 0) for each in counts) for name in names}
    return result("processes", events=list(events), counts=counts, total=total, **more)
