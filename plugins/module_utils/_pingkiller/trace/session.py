# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look: compile, attach, wait, read, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Iterator

from ..errors import PingKillerError
from ..kernel import bcc_package, bpf, compiler
from . import allowed, calls, cgroups, layout, processes
from .calls import Calls
from .processes import Processes
from .request import Request

_FIRST_NAMESPACE = 0xEFFFFFFC  #: the inode of the first PID namespace: PROC_PID_INIT_INO of the kernel
_POLL_SECONDS = 0.1
_PAUSE = 0.01  #: seconds between two looks at what the kernel tells


def plan(request: Request) -> dict:
    """What ``run`` would do, as ``msg``, if nothing forbids it; nothing is compiled and nothing is looked at. Raises PingKillerError."""
    allowed.require()
    bcc_package.version()
    cgroups.find(request.unit, request.cgroup)
    *names, last = _probe(request).tracepoints(request)
    return {
        "probe": request.probe,
        "msg": f"would look at {request.probe} for {request.duration:g} s, with programs at the tracepoints "
        f"{', '.join(names)} and {last}",
    }


def run(request: Request, sources: dict[str, str]) -> dict:
    """Look for as long as was asked, and tell. Raises PingKillerError.

    ``sources`` are those of the tracers, by their path below bpf/.
    """
    *_none, result = watch(request, sources, every=None)
    return result


def watch(
    request: Request, sources: dict[str, str], every: float | None = 1.0, stop: threading.Event | None = None
) -> Iterator[dict]:
    """Results as they stand, each the whole since the start, every so many seconds; the last one is what ``run`` returns.

    Set ``stop``, for example in a signal handler, and the look ends within a tenth of a second, as it does on Ctrl-C. What
    is read of a table while it is being counted in may be one call short here and there; the last result is not.
    """
    allowed.require()
    bcc_package.version()
    with _Look(request, sources) as look:
        following = look.began + (every or request.duration)
        while not look.wait(following, stop):
            yield look.result()
            following += every or request.duration
        look.finish()
        yield look.result()


def _probe(request: Request):
    return processes if request.probe == "processes" else calls


class _Look:
    """The programs while they run. Closing it, or dying, removes them."""

    def __init__(self, request: Request, sources: dict[str, str]) -> None:
        self._request, self._stopped = request, ""
        self._ended: float | None = None
        self._links: list = []
        with contextlib.ExitStack() as stack:
            tracepoints = _probe(request).tracepoints(request)
            kind = Processes if request.probe == "processes" else Calls
            cgroup = cgroups.find(request.unit, request.cgroup)
            defines = {**_whose(request, cgroup), **_probe(request).definitions(request)}
            programs = compiler.compile_tracer(sources, kind.program, _sized(defines), list(tracepoints.values()))
            self._programs = [stack.enter_context(program) for program in programs.values()]
            self._maps = _maps(self._programs, stack)
            if cgroup:
                _choose_cgroup(self._maps["cgroups"], cgroup)
            self._measured = _measure(stack)
            self._reader = stack.enter_context(contextlib.closing(kind(request, self._maps)))
            self._reader.note_present()
            self._attach(tracepoints, programs, stack)
            self.began = time.monotonic()
            self._reader.note_present()
            self._stack = stack.pop_all()

    def __enter__(self) -> _Look:
        return self

    def __exit__(self, *_exception) -> None:
        self._stack.close()

    def _attach(
        self, tracepoints: dict[str, str], programs: dict[str, bpf.Program], stack: contextlib.ExitStack
    ) -> None:
        for name, function in tracepoints.items():
            try:
                link = bpf.attach_raw_tracepoint(name, programs[function].fd)
            except OSError as error:
                raise PingKillerError(
                    f"the kernel {os.uname().release} refuses a program at the tracepoint {name} ({error.strerror}): "
                    f"it needs CONFIG_FTRACE_SYSCALLS and CONFIG_BPF_EVENTS"
                ) from None
            self._links.append(stack.enter_context(link))

    def wait(self, until: float, stop: threading.Event | None) -> bool:
        """Take what the kernel tells until then; whether the look is over."""
        end = self.began + self._request.duration
        try:
            while not self._stopped:
                self._reader.poll()
                now = time.monotonic()
                self._stopped = self._why_over(now, end, stop)
                if now >= until:
                    break
                self._sleep(min(until, end) - now)
        except KeyboardInterrupt:
            self._stopped = "interrupted"
        return bool(self._stopped)

    def _why_over(self, now: float, end: float, stop: threading.Event | None) -> str:
        most = self._request.max_overhead
        cost = self._cost() if most else None
        reasons = {
            "limit": self._reader.full,
            "interrupted": stop is not None and stop.is_set(),
            "max_overhead": cost is not None and cost["percent"] > most,
            "duration": now >= end,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def _sleep(self, seconds: float) -> None:
        """A tenth of a second at most, less if the kernel has something to tell."""
        seconds = max(0.0, min(seconds, _POLL_SECONDS))
        if self._reader.ring is None:
            time.sleep(seconds)
            return
        told = select.poll()
        told.register(self._reader.ring.fd, select.POLLIN)
        if told.poll(seconds * 1000):
            time.sleep(min(seconds, _PAUSE))

    def finish(self) -> None:
        """Let what began return, if it does so at once, and no call begin any more."""
        self._links[-1].close()
        bpf.wait_for_programs()
        self._ended = time.monotonic()
        for link in self._links:
            link.close()
        bpf.wait_for_programs()
        self._reader.poll()

    def result(self) -> dict:
        told = self._reader.result()
        missed = [layout.MISSED.unpack(value) for value in self._maps["missed"].lookup_percpu(bytes(4))]
        lost, outside, unfinished = (sum(each[name] for each in missed) for name in ("lost", "outside", "unfinished"))
        return {
            "probe": self._request.probe,
            "seconds": round(self._seconds(), 6),
            "stopped": self._stopped or None,
            "lost": lost + sum(program.info.missed for program in self._programs),
            "outside": outside,
            "cost": self._cost(),
            **told,
            "unfinished": told["unfinished"] + unfinished,
        }

    def _seconds(self) -> float:
        return (self._ended or time.monotonic()) - self.began

    def _cost(self) -> dict | None:
        """None where the kernel does not measure it."""
        if not self._measured:
            return None
        infos = [program.info for program in self._programs]
        ns = sum(info.run_ns for info in infos)
        percent = 100 * ns / (self._seconds() * 10**9 * (os.cpu_count() or 1))
        return {"runs": sum(info.runs for info in infos), "ns": ns, "percent": round(percent, 3)}


def _whose(request: Request, cgroup: str | None) -> dict[str, str]:
    """The definitions that say whose calls to look at: see ``bpf/trace/who.h``."""
    made = {"OWN_PID": str(os.getpid()), "PAGE_SIZE": str(os.sysconf("SC_PAGE_SIZE"))}
    namespace = os.stat("/proc/self/ns/pid")
    if namespace.st_ino != _FIRST_NAMESPACE:
        device = os.major(namespace.st_dev) << 20 | os.minor(namespace.st_dev)  # as the kernel puts it together
        made.update(NAMESPACE_DEVICE=str(device), NAMESPACE_INODE=str(namespace.st_ino))
    if request.pid is not None:
        made["ONLY_PID"] = str(request.pid)
    if request.user is not None:
        made["ONLY_USER"] = str(request.user)
    if request.comm is not None:
        name = os.fsencode(request.comm).ljust(16, b"\0")
        for half, part in (("LOW", name[:8]), ("HIGH", name[8:])):
            made[f"ONLY_COMM_{half}"] = f"{int.from_bytes(part, sys.byteorder)}ULL"
    if cgroup:
        made["ONLY_CGROUP"] = "1"
    return made


def _sized(defines: dict[str, str]) -> dict[str, str]:
    """With the sizes of all tables that nothing has said yet."""
    return {**{name: str(size) for name, size in layout.SIZES.items()}, **defines}


def _maps(programs: list[bpf.Program], stack: contextlib.ExitStack) -> dict[str, bpf.Map]:
    """All maps of the programs, by name."""
    numbers = {number for program in programs for number in program.info.map_ids}
    opened = [stack.enter_context(bpf.Map.from_id(number)) for number in sorted(numbers)]
    return {each.name: each for each in opened}


def _choose_cgroup(table: bpf.Map, directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        table.update(bytes(4), fd.to_bytes(4, sys.byteorder))
    except OSError as error:
        raise PingKillerError(
            f"{directory} is no cgroup that the kernel takes ({error.strerror}): see systemd-cgls"
        ) from None
    finally:
        os.close(fd)


def _measure(stack: contextlib.ExitStack) -> bool:
    """Whether the kernel measures what programs take while the look lasts."""
    try:
        stack.enter_context(bpf.enable_stats())
    except OSError:
        return False
    return True
