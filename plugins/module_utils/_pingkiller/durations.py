# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as users write them."""

from __future__ import annotations

import calendar
import re
import time

from .errors import PingKillerError, quoted


def wall_clock(monotonic: int) -> str:
    """UTC to the microsecond."""
    seconds, nanoseconds = divmod(time.time_ns() - time.monotonic_ns() + monotonic, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06d}Z"


_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NS = 1_000_000_000
_LONGEST = 100 * 365 * 86400  #: in nanoseconds still far from 64 bits


def parse(text: object) -> int:
    """Seconds from ``90``, ``90s``, ``10m``, ``1h``, ``2d`` or ``1w``. Raises ValueError with a reason that follows the value."""
    found = re.fullmatch(r"([0-9]{1,12})([smhdw]?)", str(text).strip())
    seconds = int(found.group(1)) * _SECONDS[found.group(2)] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise ValueError("is not a duration: write a number of seconds above 0, or one like 90s, 10m, 1h, 2d or 1w")
    return seconds


def checked(name: str, text: object) -> int:
    """The same for an option. Raises PingKillerError."""
    try:
        return parse(text)
    except ValueError as error:
        raise PingKillerError(f"{name}={quoted(str(text))} {error}") from None


def boot_time() -> int:
    """The clock that expiry goes by, CLOCK_BOOTTIME in ns: it goes on while the host is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def until(seconds: int) -> int:
    """The end of a duration that begins now, in whole seconds, so that asking twice within one is asking once."""
    return -(-boot_time() // _NS) * _NS + seconds * _NS


def from_boot(nanoseconds: int) -> float:
    """A moment of CLOCK_BOOTTIME as seconds of the wall clock."""
    return time.time() + (nanoseconds - boot_time()) / _NS


def from_monotonic(nanoseconds: int) -> float:
    """The same of CLOCK_MONOTONIC, which the packet path notes."""
    return time.time() - time.monotonic() + nanoseconds / _NS


def iso(seconds: float) -> str:
    """The wall clock in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(round(seconds)))


def from_iso(text: str) -> int:
    """The inverse of ``iso``. Raises ValueError."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def left(end: int) -> int:
    """The whole seconds until a moment of CLOCK_BOOTTIME, at least one."""
    return max(1, (end - boot_time()) // _NS)
