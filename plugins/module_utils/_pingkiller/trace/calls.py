# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls, counted in the kernel: what the probes ``syscalls`` and ``syscall`` tell."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator

from ..histogram import percentile
from ..kernel import bpf
from ..kernel.ring_buffer import RingBuffer
from . import layout, syscalls, words
from .request import Request
from .targets import Targets

_PERCENTILES = (50, 90, 99)
_LONGEST = layout.TIMED.index("longest")
_BY_OF_SYSCALL = ("pid", "comm", "user", "fd")


def definitions(request: Request) -> dict[str, str]:
    """What the program is compiled with, beside whose calls it looks at."""
    by = _by(request)
    made = {f"BY_{name.upper()}": str(int(name in by)) for name in ("pid", "comm", "user", "syscall", "fd")}
    if request.name:
        made["ONLY_SYSCALL"] = str(syscalls.numbers()[request.name])
    return {
        **made,
        "HAS_LENGTH": str(int(request.name in syscalls.WITH_LENGTH)),
        "TIMED": str(int(request.timed)),
        "MIN_NS": f"{round(request.min_us * 1000)}ULL",
        "SMALL_BYTES": f"{request.small_bytes}LL",
        "SLOW_NS": f"{round(request.slow_ms * 10**6)}ULL",
        "ROWS": str(_rows(request)),
    }


def tracepoints(request: Request) -> dict[str, str]:
    """Tracepoint -> function, in the order in which to attach: what notes a call comes last, or it might miss the end."""
    births = {"sched_process_fork": "forked"} if "pid" in _by(request) else {}
    return {**births, "sched_process_exit": "ended", "sys_exit": "returned", "sys_enter": "entered"}


def _by(request: Request) -> tuple[str, ...]:
    """What makes a row."""
    if request.probe == "syscalls":
        return request.by
    return tuple(name for name in _BY_OF_SYSCALL if name != "fd" or request.name in syscalls.WITH_DESCRIPTOR)


def _layout(request: Request) -> struct.Struct:
    return layout.TIMED_ROW if request.timed else layout.COUNTED_ROW


def _rows(request: Request) -> int:
    """As many as there is memory for."""
    fit = layout.ROWS_MEMORY // (_layout(request).size * bpf.possible_cpus())
    return max(min(fit, layout.SIZES["ROWS"]), min(layout.FEWEST_ROWS, layout.SIZES["ROWS"]))


class Calls:
    """Reads what the kernel has counted. ``maps`` are the program's, by name."""

    program = "trace/calls.c"

    def __init__(self, request: Request, maps: dict[str, bpf.Map]) -> None:
        self._request, self._maps = request, maps
        self._by, self._layout = _by(request), _layout(request)
        self._names, self._users = syscalls.names(), words.Users()
        self._targets = Targets()
        self.ring = RingBuffer(maps["newcomers"]) if "newcomers" in maps else None
        self.full = False

    def close(self) -> None:
        if self.ring:
            self.ring.close()

    def note_present(self) -> None:
        """Nothing to note: who makes calls comes with them."""

    def poll(self) -> None:
        """Look where the descriptors lead of those who have just made their first call with them."""
        for record in self.ring.read() if self.ring else ():
            self._look_up(layout.ROW_KEY.unpack(record))

    def _look_up(self, key: dict) -> None:
        self._targets.look_up((key["pid"], key["generation"], key["fd"]), key["pid"], key["fd"])

    def result(self) -> dict:
        """Calls, errors and rows, and how many calls have not returned."""
        rows = self._rows()
        order = (lambda row: (row.ns, row.calls)) if self._request.latency else (lambda row: (row.calls, row.ns))
        ordered = sorted(rows.values(), key=order, reverse=True)
        shown = ordered[: self._request.top or None]
        if self.ring:
            for row in shown:
                self._look_up(row.key)
        told = self._of_one(ordered) if self._request.probe == "syscall" else {}
        return {
            **told,
            "calls": sum(row.calls for row in ordered),
            "errors": sum(sum(row.errors.values()) for row in ordered),
            "unfinished": len(self._maps["calls"].read_columns()[0]) // self._maps["calls"].info.key_size,
            **self._all_times(ordered),
            "rows_total": len(ordered),
            "rows": [self._shown(row) for row in shown],
        }

    def _rows(self) -> dict[tuple, _Row]:
        """The rows, each with all its errors."""
        found: dict[tuple, _Row] = {}
        for packed, values in self._maps["rows"].read_all():
            key = layout.ROW_KEY.unpack(packed)
            error = key.pop("error")
            row = found.setdefault(tuple(key.values()), _Row(key))
            row.add(error, self._columns(values))
        return {name: row for name, row in found.items() if row.calls}

    def _columns(self, values: bytes) -> list[int]:
        """The sum over all CPUs, but of the longest time the greatest."""
        unused = bytes(self._layout.size)
        of_cpus = [self._layout.unpack(value) for value in self._maps["rows"].split_percpu(values) if value != unused]
        columns = list(zip(*of_cpus)) or [(0,)] * len(self._layout.unpack(unused))
        sums = [sum(column) for column in columns]
        if len(sums) > _LONGEST:
            sums[_LONGEST] = max(columns[_LONGEST])
        return sums

    def _of_one(self, rows: list[_Row]) -> dict:
        total = sum(row.sums["bytes"] for row in rows) if self._has_length else None
        return {"name": self._request.name, "bytes": total}

    def _all_times(self, rows: list[_Row]) -> dict:
        """How many calls took how long, also of the rows that are not shown."""
        if not self._request.timed:
            return {}
        return {"histogram": list(_histogram([sum(calls) for calls in zip(*(row.buckets for row in rows))]))}

    @property
    def _has_length(self) -> bool:
        return self._request.name in syscalls.WITH_LENGTH

    def _shown(self, row: _Row) -> dict:
        told = {name: value for name, value in self._identity(row.key).items() if name in self._by}
        told["calls"] = row.calls
        if self._request.probe == "syscall":
            told = {**told, **self._work(row)}
        told["errors"] = {syscalls.error_name(number): count for number, count in row.errors.most_common()}
        return {**told, **(row.latency() if self._request.timed else {})}

    def _identity(self, key: dict) -> dict:
        return {
            "pid": key["pid"],
            "comm": words.command(key["comm"]),
            "user": self._users.name(key["user"]),
            "syscall": syscalls.name_of(key["syscall"], self._names),
        }

    def _work(self, row: _Row) -> dict:
        """What only the probe of one call tells."""
        key, sums = row.key, row.sums
        small = {"calls": sums["small_calls"], "bytes": sums["small_bytes"]}
        return {
            "fd": key["fd"] if self.ring else None,
            "target": self._targets.get((key["pid"], key["generation"], key["fd"])) if self.ring else None,
            "bytes": sums["bytes"] if self._has_length else None,
            "small": small if self._has_length else {"calls": None, "bytes": None},
            "slow": {"calls": sums["slow_calls"], "total_ns": sums["slow_ns"]},
        }


class _Row:
    """What calls of one kind come to."""

    def __init__(self, key: dict) -> None:
        self.key, self.errors = key, Counter()
        self.sums, self.buckets = Counter(), [0] * layout.BUCKETS

    @property
    def calls(self) -> int:
        return self.sums["calls"]

    @property
    def ns(self) -> int:
        return self.sums["ns"]

    def add(self, error: int, columns: list[int]) -> None:
        """What was counted of one outcome."""
        named = dict(zip(layout.TIMED, columns))
        longest = max(self.sums["longest"], named.get("longest", 0))
        self.sums.update(named)
        self.sums["longest"] = longest
        self.buckets = [sum(pair) for pair in zip(self.buckets, columns[len(layout.TIMED) :])] or self.buckets
        if error and named["calls"]:
            self.errors[error] += named["calls"]

    def latency(self) -> dict:
        """Times in ns; null where no call was measured, as of those that never return."""
        measured = sum(self.buckets)
        percentiles = {f"p{percent}_ns": percentile(self.buckets, percent) for percent in _PERCENTILES}
        longest = self.sums["longest"]
        return {
            "total_ns": self.ns,
            "average_ns": round(self.ns / measured) if measured else None,
            **{name: None if value is None else min(value, longest) for name, value in percentiles.items()},
            "max_ns": longest if measured else None,
            "histogram": list(_histogram(self.buckets)),
        }


def _histogram(buckets: list[int]) -> Iterator[dict]:
    for number, calls in enumerate(buckets):
        if calls:
            yield {"from_ns": 1 << number if number else 0, "to_ns": (2 << number) - 1, "calls": calls}
