# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Births, execs and ends of processes, told by the kernel one by one: what the probe ``processes`` tells."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ..durations import wall_clock
from ..errors import printable
from ..kernel import bpf
from ..kernel.ring_buffer import RingBuffer
from . import layout, words
from .request import Request

_STAT_START = 19  #: the place of a process's start in /proc/PID/stat, counted from behind the command's name
_SIGNAL_NUMBERS = {each.value: each.name for each in signal.Signals}


def definitions(request: Request) -> dict[str, str]:
    """What the program is compiled with, beside whose processes it looks at: nothing more."""
    return {}


def tracepoints(request: Request) -> dict[str, str]:
    """Tracepoint -> function, in the order in which to attach: an end and an exec go by what was noted before."""
    return {
        "sys_exit": "returned",
        "signal_generate": "generated",
        "signal_deliver": "delivered",
        "sched_process_exit": "ended",
        "sched_process_exec": "executed",
        "sched_process_fork": "forked",
        "sys_enter": "entered",
    }


class Processes:
    """Reads what the kernel tells. ``maps`` are the program's, by name."""

    program = "trace/processes.c"

    def __init__(self, request: Request, maps: dict[str, bpf.Map]) -> None:
        self._limit, self._births = request.limit, maps["births"]
        self._users = words.Users()
        self._records: list[tuple[dict, str]] = []
        self._began: dict[int, int] = {}
        self.ring = RingBuffer(maps["events"])

    def close(self) -> None:
        self.ring.close()

    def note_present(self) -> None:
        """Whoever is there: called before the programs are attached and afterwards, so that who ends meanwhile is known."""
        self._began.update(_starts())

    @property
    def full(self) -> bool:
        return len(self._records) >= self._limit

    def poll(self) -> None:
        """Take what has been told, up to the limit."""
        for record in self.ring.read():
            if self.full:
                return
            path = layout.text(record[layout.EVENT.size :])
            self._records.append((layout.EVENT.unpack(record), path))

    def result(self) -> dict:
        """The events, sums of them, and how many that were born have not run yet."""
        ordered = sorted(self._records, key=lambda record: record[0]["time"])
        events = [self._shown(event, path) for event, path in ordered]
        return {
            "events": events,
            "counts": _counts(events),
            "total": _count(events),
            "unfinished": sum(map(_is_untold, (value for _key, value in self._births.read_all()))),
        }

    def _shown(self, event: dict, path: str) -> dict:
        kind = layout.EVENTS[event["kind"]]
        told = {
            "time": wall_clock(event["time"]),
            "event": kind,
            "pid": event["thread"],
            "user": self._users.name(event["user"]),
            "comm": words.command(event["comm"]),
            "thread": event["thread"] != event["pid"],
        }
        if kind == "exec":
            return {**told, "path": printable(path) or None}
        if kind == "exit":
            return {**told, **_ending(event["ending"]), "lifetime_ns": self._lifetime(event)}
        return {**told, "parent": event["parent"]}

    def _lifetime(self, event: dict) -> int | None:
        """Of what was born before the run the kernel tells the start to a hundredth of a second."""
        born = event["born"] or self._began.get(event["thread"])
        return None if born is None else max(0, event["time"] - born)


def _is_untold(birth: bytes) -> bool:
    fields = layout.BIRTH.unpack(birth)
    return bool(fields["wanted"] and not fields["told"])


def _ending(ending: int) -> dict:
    number = ending >> 8 & 0xFF
    known = bool(ending & layout.ENDING_KNOWN)
    return {
        "status": ending & 0xFF if known and not number else None,
        "signal": _signal_name(number) if number else None,
    }


def _signal_name(number: int) -> str:
    if number < signal.SIGRTMIN:  # the C library keeps the first of the kernel's for itself, and names none of them
        return _SIGNAL_NUMBERS.get(number) or f"signal {number}"
    return _SIGNAL_NUMBERS.get(number) or f"SIGRTMIN+{number - signal.SIGRTMIN}"


def _counts(events: list[dict]) -> list[dict]:
    """By user and command, those with most events first."""
    groups: dict[tuple, list[dict]] = {}
    for event in events:
        groups.setdefault((event["user"], event["comm"]), []).append(event)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [{"user": user, "comm": comm, **_count(group)} for (user, comm), group in ordered]


def _count(events: list[dict]) -> dict[str, int]:
    return {kind: sum(event["event"] == kind for event in events) for kind in layout.EVENTS}


def _starts() -> dict[int, int]:
    """When the processes that there are began, CLOCK_MONOTONIC ns, by pid."""
    ahead = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()  # it goes on while the host is suspended
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # it has ended
            fields = file.read().rpartition(b")")[2].split()
            found[int(name)] = int(fields[_STAT_START]) * tick - ahead
    return found
