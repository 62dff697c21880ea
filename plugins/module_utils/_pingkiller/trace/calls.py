# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes ``syscalls`` and ``syscall``: system calls, counted in the kernel."""

from __future__ import annotations

from typing import Any

from ..kernel import bpf
from ..kernel.ring_buffer import RingBuffer
from . import call_rows, layout, syscalls, words
from .call_rows import Row
from .layout import RowKey
from .request import Request
from .targets import Descriptor, Targets

_BY_OF_SYSCALL = ("pid", "comm", "user", "fd")


class Calls:
    """Reads the counts of calls. See ``probe.Probe`` for what its methods do."""

    program = "trace/calls.c"
    full = False

    def __init__(self, request: Request, maps: dict[str, bpf.Map]) -> None:
        self._request, self._maps = request, maps
        self._by = _by(request)
        self._names, self._users = syscalls.names(), words.Users()
        self._targets = Targets()
        self.ring = RingBuffer(maps["newcomers"]) if "newcomers" in maps else None

    @staticmethod
    def definitions(request: Request) -> dict[str, str]:
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
            "ROWS": str(_most_rows(request)),
        }

    @staticmethod
    def tracepoints(request: Request) -> dict[str, str]:
        """``sys_enter`` comes last: a call that is noted at its beginning must not miss its end."""
        births = {"sched_process_fork": "forked"} if "pid" in _by(request) else {}
        return {**births, "sched_process_exit": "ended", "sys_exit": "returned", "sys_enter": "entered"}

    def note_present(self) -> None:
        """Do nothing: a row has all that is told of its processes."""

    def poll(self) -> None:
        """Look up the targets of descriptors that were used for the first time."""
        for record in self.ring.read() if self.ring else ():
            self._targets.look_up(_descriptor(RowKey.unpack(record)))

    def result(self) -> dict[str, Any]:
        """Return calls, errors and rows, and how many calls have not returned."""
        rows = self._sorted(call_rows.read(self._maps["rows"]))
        shown = rows[: self._request.top or None]
        if self.ring:
            for row in shown:
                self._targets.look_up(_descriptor(row.key))
        return {
            **(self._of_one_call(rows) if self._request.probe == "syscall" else {}),
            "calls": sum(row.counted.calls for row in rows),
            "errors": sum(sum(row.errors.values()) for row in rows),
            "unfinished": len(self._maps["calls"].read_columns()[0]) // self._maps["calls"].info.key_size,
            **({"histogram": call_rows.histogram(rows)} if self._request.timed else {}),
            "rows_total": len(rows),
            "rows": [self._shown(row) for row in shown],
        }

    def close(self) -> None:
        if self.ring:
            self.ring.close()

    def _sorted(self, rows: list[Row]) -> list[Row]:
        """Sort by time with ``latency``, else by calls; the most comes first."""

        def weight(row: Row) -> tuple[int, int]:
            calls, ns = row.counted.calls, row.counted.ns
            return (ns, calls) if self._request.latency else (calls, ns)

        return sorted(rows, key=weight, reverse=True)

    def _of_one_call(self, rows: list[Row]) -> dict[str, Any]:
        total = sum(row.counted.size for row in rows) if self._has_length else None
        return {"name": self._request.name, "bytes": total}

    @property
    def _has_length(self) -> bool:
        return self._request.name in syscalls.WITH_LENGTH

    def _shown(self, row: Row) -> dict[str, Any]:
        return {
            **{name: value for name, value in self._identity(row.key).items() if name in self._by},
            "calls": row.counted.calls,
            **(self._work(row) if self._request.probe == "syscall" else {}),
            "errors": {syscalls.error_name(number): count for number, count in row.errors.most_common()},
            **(row.latency() if self._request.timed else {}),
        }

    def _identity(self, key: RowKey) -> dict[str, Any]:
        return {
            "pid": key.pid,
            "comm": words.command(key.comm),
            "user": self._users.name(key.user),
            "syscall": syscalls.name_of(key.syscall, self._names),
        }

    def _work(self, row: Row) -> dict[str, Any]:
        """Return what only the probe of one call shows."""
        counted = row.counted
        small = {"calls": counted.small_calls, "bytes": counted.small_bytes}
        return {
            "fd": row.key.fd if self.ring else None,
            "target": self._targets.get(_descriptor(row.key)) if self.ring else None,
            "bytes": counted.size if self._has_length else None,
            "small": small if self._has_length else {"calls": None, "bytes": None},
            "slow": {"calls": counted.slow_calls, "total_ns": counted.slow_ns},
        }


def _by(request: Request) -> tuple[str, ...]:
    """Return the fields of ``RowKey`` by which calls are counted."""
    if request.probe == "syscalls":
        return request.by
    return tuple(name for name in _BY_OF_SYSCALL if name != "fd" or request.name in syscalls.WITH_DESCRIPTOR)


def _most_rows(request: Request) -> int:
    """Return how many rows there is memory for."""
    fit = layout.ROWS_MEMORY // (layout.row_size(timed=request.timed) * bpf.possible_cpus())
    return max(min(fit, layout.SIZES["ROWS"]), min(layout.FEWEST_ROWS, layout.SIZES["ROWS"]))


def _descriptor(key: RowKey) -> Descriptor:
    return Descriptor(pid=key.pid, generation=key.generation, fd=key.fd)
