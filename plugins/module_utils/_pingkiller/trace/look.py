# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one trace: compile and attach the programs, wait, read what they counted, and remove them."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import PingKillerError
from ..kernel import bpf, compiler
from . import cgroups, layout, scope
from .calls import Calls
from .probe import Probe
from .processes import Processes
from .request import Request

#: By the name in the request.
PROBES: dict[str, type[Probe]] = {"syscalls": Calls, "syscall": Calls, "processes": Processes}
_POLL_SECONDS = 0.1
_PAUSE = 0.01  #: seconds between two reads of the ring buffer


class Look:
    """The programs while they run. Closing it, or the end of the process, removes them."""

    def __init__(self, request: Request, sources: dict[str, str]) -> None:
        self._request, self._stopped = request, ""
        self._ended: float | None = None
        self._close_links: list[Callable[[], None]] = []
        probe = PROBES[request.probe]
        cgroup = cgroups.find(request.unit, request.cgroup)
        tracepoints = probe.tracepoints(request)
        programs = compiler.compile_tracer(
            sources, _definitions(request, cgroup), main=probe.program, functions=list(tracepoints.values())
        )
        with contextlib.ExitStack() as stack:
            self._programs = [stack.enter_context(program) for program in programs.values()]
            self._maps = _maps(self._programs, stack)
            if cgroup:
                _choose_cgroup(self._maps["cgroups"], cgroup)
            self._measured = _measure(stack)
            self._probe = stack.enter_context(contextlib.closing(probe(request, self._maps)))
            self._probe.note_present()
            for name, function in tracepoints.items():
                self._close_links.append(_attach(name, programs[function]))
                stack.callback(self._close_links[-1])
            self.began = time.monotonic()
            self._probe.note_present()
            self._stack = stack.pop_all()

    def __enter__(self) -> Look:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def wait(self, until: float, stop: threading.Event | None) -> bool:
        """Take what the kernel tells until then (time.monotonic). Return whether the trace is over."""
        end = self.began + self._request.duration
        try:
            while not self._stopped:
                self._probe.poll()
                now = time.monotonic()
                self._stopped = self._why_over(now, end, stop)
                if now >= until:
                    break
                self._sleep(min(until, end) - now)
        except KeyboardInterrupt:
            self._stopped = "interrupted"
        return bool(self._stopped)

    def _why_over(self, now: float, end: float, stop: threading.Event | None) -> str:
        if self._probe.full:
            return "limit"
        if stop is not None and stop.is_set():
            return "interrupted"
        if self._costs_too_much():
            return "max_overhead"
        return "duration" if now >= end else ""

    def _costs_too_much(self) -> bool:
        most = self._request.max_overhead
        cost = self._cost() if most is not None else None
        return most is not None and cost is not None and cost["percent"] > most

    def _sleep(self, seconds: float) -> None:
        """Sleep for a tenth of a second at most, and less if the kernel has something to tell."""
        seconds = max(0.0, min(seconds, _POLL_SECONDS))
        ring = self._probe.ring
        if ring is None:
            time.sleep(seconds)
            return
        ready = select.poll()
        ready.register(ring.fd, select.POLLIN)
        if ready.poll(seconds * 1000):
            time.sleep(min(seconds, _PAUSE))

    def finish(self) -> None:
        """Let no call begin any more, and let those that began return, if they do so at once."""
        self._close_links[-1]()
        bpf.wait_for_programs()
        self._ended = time.monotonic()
        for close in self._close_links:
            close()
        bpf.wait_for_programs()
        self._probe.poll()

    def result(self) -> dict[str, Any]:
        """Return the result as it stands, as JSON has it."""
        seen = self._probe.result()
        missed = [layout.MISSED.unpack(value) for value in self._maps["missed"].lookup_percpu(bytes(4))]
        lost, outside, unfinished = (sum(each[name] for each in missed) for name in ("lost", "outside", "unfinished"))
        return {
            "probe": self._request.probe,
            "seconds": round(self._seconds(), 6),
            "stopped": self._stopped or None,
            "lost": lost + sum(program.info.missed for program in self._programs),
            "outside": outside,
            "cost": self._cost(),
            **seen,
            "unfinished": seen["unfinished"] + unfinished,
        }

    def _seconds(self) -> float:
        return (self._ended or time.monotonic()) - self.began

    def _cost(self) -> dict[str, Any] | None:
        """Return what the programs took, or None if the kernel does not measure it."""
        if not self._measured:
            return None
        infos = [program.info for program in self._programs]
        ns = sum(info.run_ns for info in infos)
        percent = 100 * ns / (self._seconds() * 10**9 * (os.cpu_count() or 1))
        return {"runs": sum(info.runs for info in infos), "ns": ns, "percent": round(percent, 3)}


def _definitions(request: Request, cgroup: str | None) -> dict[str, str]:
    sizes = {name: str(size) for name, size in layout.SIZES.items()}
    return {**sizes, **scope.definitions(request, cgroup), **PROBES[request.probe].definitions(request)}


def _maps(programs: list[bpf.Program], stack: contextlib.ExitStack) -> dict[str, bpf.Map]:
    """Open all maps of the programs. Return them by name."""
    numbers = {number for program in programs for number in program.info.map_ids}
    opened = [stack.enter_context(bpf.Map.from_id(number)) for number in sorted(numbers)]
    return {each.name: each for each in opened}


def _choose_cgroup(table: bpf.Map, directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        table.update(bytes(4), fd.to_bytes(4, sys.byteorder))
    except OSError as error:
        raise PingKillerError(
            f"{directory} is not a cgroup that the kernel accepts ({error.strerror}): see systemd-cgls"
        ) from None
    finally:
        os.close(fd)


def _measure(stack: contextlib.ExitStack) -> bool:
    """Have the kernel measure what programs take, until the stack is closed. Return whether it does."""
    try:
        stack.enter_context(bpf.enable_stats())
    except OSError:
        return False
    return True


def _attach(tracepoint: str, program: bpf.Program) -> Callable[[], None]:
    """Attach a program. Return what detaches it."""
    try:
        return bpf.attach_raw_tracepoint(tracepoint, program.fd).close
    except OSError as error:
        raise PingKillerError(
            f"the kernel {os.uname().release} refuses a program at the tracepoint {tracepoint} ({error.strerror}): "
            f"it needs CONFIG_FTRACE_SYSCALLS and CONFIG_BPF_EVENTS"
        ) from None
