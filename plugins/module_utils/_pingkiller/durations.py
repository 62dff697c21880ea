# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as users write them, and times of the host's clocks."""

from __future__ import annotations

import functools
import re
import time

from .errors import PingKillerError, quoted

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NS = 1_000_000_000
LONGEST = 100 * 365 * 86400  #: seconds; in nanoseconds still far from 64 bits
_GO_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_ISO = "%Y-%m-%dT%H:%M:%S"

# Durations


def parse(text: object) -> int:
    """Return the seconds of ``90``, ``90s``, ``10m``, ``1h``, ``2d`` or ``1w``.

    Raises ValueError with a reason that can follow the value.
    """
    found = re.fullmatch(r"([0-9]{1,12})([smhdw]?)", str(text).strip())
    seconds = int(found.group(1)) * _SECONDS[found.group(2)] if found else 0
    if not 0 < seconds <= LONGEST:
        raise ValueError("is not a duration: write a number of seconds above 0, or one like 90s, 10m, 1h, 2d or 1w")
    return seconds


def checked(name: str, text: object) -> int:
    """Return the seconds of the value of an option. Raises PingKillerError."""
    try:
        return parse(text)
    except ValueError as error:
        raise PingKillerError(f"{name}={quoted(str(text))} {error}") from None


def parse_go(text: str) -> float:
    """Return the seconds of a duration as Go writes it, such as ``9m58.1s``, ``-1s`` or ``0s`` (time.ParseDuration).

    Raises ValueError with a reason that can follow the value.
    """
    part = rf"([0-9]{{1,19}}(?:\.[0-9]{{0,19}})?)({'|'.join(_GO_SECONDS)})"
    if not re.fullmatch(rf"[+-]?(?:{part})+", text):
        raise ValueError("is not a duration as Go writes it, like 3h59m58s")
    seconds = sum(float(number) * _GO_SECONDS[unit] for number, unit in re.findall(part, text))
    return -seconds if text.startswith("-") else seconds


def rounded_up(nanoseconds: int) -> int:
    """Return nanoseconds as whole seconds, so that what is not over has some left."""
    return -(-nanoseconds // _NS)


# The clock of expiry, which goes on while the host is suspended


def boot_time() -> int:
    """Return CLOCK_BOOTTIME in ns."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def until(seconds: int) -> int:
    """Return the end of a duration that begins now, as CLOCK_BOOTTIME in ns.

    It is a whole second, so that two requests within one second are the same request.
    """
    return (rounded_up(boot_time()) + seconds) * _NS


def left(end: int) -> int:
    """Return the whole seconds until a time of CLOCK_BOOTTIME in ns, at least one."""
    return max(1, (end - boot_time()) // _NS)


# The wall clock


def from_boot(nanoseconds: int) -> float:
    """Return a time of CLOCK_BOOTTIME as seconds of the wall clock."""
    return time.time() + (nanoseconds - boot_time()) / _NS


def from_monotonic(nanoseconds: int) -> float:
    """Return a time of CLOCK_MONOTONIC, which the filter notes, as seconds of the wall clock."""
    return time.time() - time.monotonic() + nanoseconds / _NS


def wall_clock(nanoseconds: int) -> str:
    """Return a time of CLOCK_MONOTONIC in UTC, to the microsecond."""
    seconds, rest = divmod(time.time_ns() - time.monotonic_ns() + nanoseconds, _NS)
    return f"{time.strftime(_ISO, time.gmtime(seconds))}.{rest // 1000:06d}Z"


def iso(seconds: float) -> str:
    """Return a time of the wall clock in UTC, to the second."""
    return time.strftime(f"{_ISO}Z", time.gmtime(round(seconds)))


@functools.lru_cache(maxsize=65536)  # thousands of entries are read that end at the same time
def from_iso(text: str) -> int:
    """Return the seconds of the wall clock that ``iso`` has written. Raises ValueError."""
    import calendar  # imports datetime, for which most commands have no use

    return calendar.timegm(time.strptime(text, f"{_ISO}Z"))
