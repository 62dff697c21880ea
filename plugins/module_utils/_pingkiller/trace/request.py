# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request: what to trace, for how long, and what to count by."""

from __future__ import annotations

import contextlib
import math
import os
import pwd
from typing import Any, NamedTuple

from ..errors import PingKillerError, did_you_mean, quoted, shortened
from . import syscalls

PROBES = ("syscalls", "syscall", "processes")
BY = ("pid", "comm", "user", "syscall")
DEFAULT_BY = ("comm", "syscall")
DEFAULT_NAME = "write"
LONGEST = 3600  #: seconds
_COMM = 15  #: bytes that the kernel keeps of a command's name
_MOST = 2**31  #: for counts and sizes
_HIGHEST_USER = 2**32 - 1

#: The probes that have an option, for the options that not all probes have.
_ONLY = {
    "limit": ("processes",),
    "by": ("syscalls",),
    "top": ("syscalls", "syscall"),
    "latency": ("syscalls",),
    "name": ("syscall",),
    "min_us": ("syscalls", "syscall"),
    "small_bytes": ("syscall",),
    "slow_ms": ("syscall",),
}


class Request(NamedTuple):
    """What to trace. Make it with ``checked``, which turns ``user`` into a uid. ``duration`` is in seconds."""

    probe: str = "syscalls"
    duration: float = 5.0
    limit: int = 1000
    by: tuple[str, ...] = DEFAULT_BY
    top: int = 20
    latency: bool = False
    name: str | None = None
    pid: int | None = None
    user: int | str | None = None
    comm: str | None = None
    unit: str | None = None
    cgroup: str | None = None
    min_us: float = 0
    small_bytes: int = 512
    slow_ms: float = 10
    max_overhead: float | None = None

    @classmethod
    def checked(cls, **options: Any) -> Request:
        """Make a request of options, where None is an option that was not given.

        Raises PingKillerError if an option is out of its range or would have no effect.
        """
        request = cls(**{name: value for name, value in options.items() if value is not None})
        request = request._replace(by=tuple(request.by))
        if request.probe not in PROBES:
            meant = did_you_mean(str(request.probe), PROBES)
            raise PingKillerError(f"probe={quoted(str(request.probe))} is not a probe{meant}: use {', '.join(PROBES)}")
        _check_effect(request)
        _check_numbers(request)
        _check_by(request.by)
        if request.probe == "syscall":
            request = request._replace(name=_checked_name(DEFAULT_NAME if request.name is None else request.name))
        _check_process(request)
        return request._replace(user=None if request.user is None else user_number(request.user))

    @property
    def timed(self) -> bool:
        """Whether the times of calls are measured."""
        return self.probe == "syscall" or self.latency or self.min_us > 0


def _check_effect(request: Request) -> None:
    for option, probes in _ONLY.items():
        if request.probe not in probes and getattr(request, option) != Request._field_defaults[option]:
            raise PingKillerError(
                f"{option} has no effect on the probe {request.probe}, only on {' and '.join(probes)}: leave it out"
            )
    if request.unit is not None and request.cgroup is not None:
        raise PingKillerError("unit and cgroup are two ways to name one thing: give one of them")


def _check_numbers(request: Request) -> None:
    if not 0 < request.duration <= LONGEST:
        raise PingKillerError(
            f"duration={request.duration:g} is out of range: give more than 0, and up to {LONGEST} seconds"
        )
    for name, least in (("limit", 1), ("top", 0), ("min_us", 0), ("small_bytes", 0), ("slow_ms", 0)):
        value = getattr(request, name)
        if not math.isfinite(value) or not least <= value <= _MOST:
            raise PingKillerError(f"{name}={shortened(f'{value}')} is out of range: give {least} to {_MOST}")
    overhead = request.max_overhead
    if overhead is not None and not 0 < overhead <= 100:
        raise PingKillerError(f"max_overhead={overhead:g} is not a percentage: give one above 0, up to 100")


def _check_by(by: tuple[str, ...]) -> None:
    for name in by:
        if name not in BY:
            meant = did_you_mean(str(name), BY)
            raise PingKillerError(
                f"by: {quoted(str(name))} is not a key to count by{meant}: use some of {', '.join(BY)}"
            )
    if not by or len(set(by)) < len(by):
        raise PingKillerError(f"by={quoted(','.join(by))} is empty or has a key twice: use some of {', '.join(BY)}")


def _checked_name(name: str) -> str:
    known = syscalls.numbers()
    if known and name not in known:
        raise PingKillerError(
            f"name={quoted(name)} is not a system call of {os.uname().machine}{did_you_mean(name, known)}: use a name of syscalls(2)"
        )
    return name


def _check_process(request: Request) -> None:
    if request.pid is not None:
        if request.pid == os.getpid():
            raise PingKillerError(f"pid={request.pid} is the process that traces, which is left out: give another")
        if request.pid < 1 or not os.path.exists(f"/proc/{request.pid}"):
            raise PingKillerError(f"pid={shortened(str(request.pid))} is not a process on this host: see ps(1)")
        _check_is_no_thread(request.pid)
    if request.comm is not None:
        size = len(request.comm.encode(errors="surrogateescape"))
        if not 0 < size <= _COMM:
            raise PingKillerError(
                f"comm={quoted(request.comm)} has {size} bytes, and the kernel keeps 1 to {_COMM}: give the name in /proc/PID/comm"
            )


def _check_is_no_thread(pid: int) -> None:
    """Refuse a thread, for which /proc has a directory, too, though it does not list it."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", errors="replace") as status:  # it has just ended
        (process,) = (int(line.split()[1]) for line in status if line.startswith("Tgid:"))
        if process != pid:
            raise PingKillerError(
                f"pid={pid} is a thread of the process {process}: give that one, with all its threads"
            )


def user_number(user: str | int) -> int:
    """Return the uid of a user, given by name or by uid. Raises PingKillerError."""
    text = str(user)
    try:
        return pwd.getpwnam(text).pw_uid
    except (KeyError, ValueError):  # the latter for a zero byte
        if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _HIGHEST_USER:
            return int(text)
    raise PingKillerError(
        f"user={quoted(text)} is not a user of this host: give a name that getent passwd shows, or a uid"
    )
