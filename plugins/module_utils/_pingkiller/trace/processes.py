# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``processes``: births, execs and ends of processes, which the kernel tells one by one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from typing import Any

from ..durations import wall_clock
from ..errors import printable
from ..kernel import bpf
from ..kernel.ring_buffer import RingBuffer
from . import layout, words
from .layout import Event
from .request import Request

_STAT_START = 19  #: the place of a process's start time in /proc/PID/stat, counted from behind the command's name


class Processes:
    """Reads the events. See ``probe.Probe`` for what its methods do."""

    program = "trace/processes.c"

    def __init__(self, request: Request, maps: dict[str, bpf.Map]) -> None:
        self._limit, self._births = request.limit, maps["births"]
        self._users = words.Users()
        self._events: list[Event] = []
        self._began: dict[int, int] = {}
        self.ring = RingBuffer(maps["events"])

    @staticmethod
    def definitions(_request: Request) -> dict[str, str]:
        return {}

    @staticmethod
    def tracepoints(_request: Request) -> dict[str, str]:
        """Ends and execs come first: they use what the later functions note."""
        return {
            "sys_exit": "returned",
            "signal_generate": "generated",
            "signal_deliver": "delivered",
            "sched_process_exit": "ended",
            "sched_process_exec": "executed",
            "sched_process_fork": "forked",
            "sys_enter": "entered",
        }

    @property
    def full(self) -> bool:
        return len(self._events) >= self._limit

    def note_present(self) -> None:
        """Note when the processes began, for their lifetimes."""
        self._began.update(_start_times())

    def poll(self) -> None:
        """Take the events that came, up to the limit."""
        for record in self.ring.read():
            if self.full:
                return
            self._events.append(Event.unpack(record))

    def result(self) -> dict[str, Any]:
        """Return the events, their counts, and how many processes were born and have not run yet."""
        events = [self._shown(event) for event in sorted(self._events, key=lambda event: event.time)]
        return {
            "events": events,
            "counts": _counts(events),
            "total": _count(events),
            "unfinished": sum(_is_untold(birth) for _key, birth in self._births.read_all()),
        }

    def close(self) -> None:
        self.ring.close()

    def _shown(self, event: Event) -> dict[str, Any]:
        kind = layout.EVENTS[event.kind]
        shown = {
            "time": wall_clock(event.time),
            "event": kind,
            "pid": event.thread,
            "user": self._users.name(event.user),
            "comm": words.command(event.comm),
            "thread": event.thread != event.pid,
        }
        if kind == "exec":
            return {**shown, "path": printable(layout.text(event.path)) or None}
        if kind == "exit":
            return {**shown, **_ending(event.ending), "lifetime_ns": self._lifetime(event)}
        return {**shown, "parent": event.parent}

    def _lifetime(self, event: Event) -> int | None:
        """Return ns. For a process that is older than the trace, the kernel gives them in hundredths of a second."""
        born = event.born or self._began.get(event.thread)
        return None if born is None else max(0, event.time - born)


def _is_untold(birth: bytes) -> bool:
    fields = layout.BIRTH.unpack(birth)
    return bool(fields["wanted"] and not fields["told"])


def _ending(ending: int) -> dict[str, Any]:
    number = ending >> 8 & 0xFF
    known = bool(ending & layout.ENDING_KNOWN)
    return {
        "status": ending & 0xFF if known and not number else None,
        "signal": words.signal_name(number) if number else None,
    }


def _counts(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count events by user and command, most events first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        groups.setdefault((event["user"], event["comm"]), []).append(event)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [{"user": user, "comm": comm, **_count(group)} for (user, comm), group in ordered]


def _count(events: list[dict[str, Any]]) -> dict[str, int]:
    return {kind: sum(event["event"] == kind for event in events) for kind in layout.EVENTS}


def _start_times() -> dict[int, int]:
    """Return when the processes that exist began, in CLOCK_MONOTONIC ns, by pid."""
    ahead = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()  # it goes on while the host is suspended
    tick = 10**9 // os.sysconf("SC_CLK_TCK")
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # the process may have ended
            fields = file.read().rpartition(b")")[2].split()
            found[int(name)] = int(fields[_STAT_START]) * tick - ahead
    return found
