# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structures that tracers and user space share in memory: the twin of ``bpf/trace/layout.h``. All in host byte order."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from ..kernel.layout import Layout

MISSED = Layout("lost:Q", "outside:Q", "unfinished:Q")
ROW_KEY = Layout("pid:I", "generation:I", "user:I", "syscall:I", "error:I", "fd:i", "comm:16s")
NO_FD = -1

BUCKETS = 64
_CALLS = Layout("calls:Q")
_AMOUNTS = Layout(
    *("calls:Q", "ns:Q", "longest:Q", "size:Q"),
    *("small_calls:Q", "small_bytes:Q", "slow_calls:Q", "slow_ns:Q"),
)
_HISTOGRAM = struct.Struct(f"={BUCKETS}Q")

BIRTH = Layout("time:Q", "kind:I", "parent:I", "wanted:I", "told:I")
EVENTS = ("clone", "fork", "vfork", "clone3", "exec", "exit")
#: An event without its path, which follows it.
EVENT = Layout("time:Q", "born:Q", "kind:I", "pid:I", "thread:I", "parent:I", "user:I", "ending:I", "comm:16s")
ENDING_KNOWN = 0x10000

#: Entries of tables, and pages of ring buffers. They are allocated at the start, so they bound the kernel's memory.
SIZES = {
    "TASKS": 65536,  # threads that are in a call at the same time
    "BIRTHS": 65536,  # threads that were born since the trace began, at the same time
    "FILES": 4096,  # threads that are in an exec at the same time
    "ENDINGS": 16384,
    "PROCESSES": 1 << 22,  # PID_MAX_LIMIT of the kernel: no pid is higher
    "ROWS": 10240,
    "EVENT_PAGES": 512,
    "NEWCOMER_PAGES": 64,
}
ROWS_MEMORY = 64 << 20  #: bytes for the values of all CPUs; with many CPUs there are fewer rows
FEWEST_ROWS = 256


class RowKey(NamedTuple):
    """The row that a call belongs to (``struct row_key``). What the request does not count by is 0, empty or ``NO_FD``."""

    pid: int
    generation: int
    user: int
    syscall: int
    error: int
    fd: int
    comm: bytes

    @classmethod
    def unpack(cls, packed: bytes) -> RowKey:
        """Read a key of the map ``rows``, or a record of the ring buffer ``newcomers``."""
        return cls(**ROW_KEY.unpack(packed))


class Counted(NamedTuple):
    """The counts of a row (``struct row``). Without times, there is only ``calls``."""

    calls: int = 0
    ns: int = 0
    longest: int = 0  #: ns
    size: int = 0  #: bytes
    small_calls: int = 0
    small_bytes: int = 0
    slow_calls: int = 0
    slow_ns: int = 0
    buckets: tuple[int, ...] = (0,) * BUCKETS  #: calls, by the binary logarithm of their time in ns

    @classmethod
    def unpack(cls, packed: bytes) -> Counted:
        """Read one CPU's value of the map ``rows``."""
        if len(packed) == _CALLS.size:
            return cls(**_CALLS.unpack(packed))
        return cls(**_AMOUNTS.unpack(packed), buckets=_HISTOGRAM.unpack_from(packed, _AMOUNTS.size))


def row_size(*, timed: bool) -> int:
    """Return the bytes of one CPU's value of a row."""
    return _AMOUNTS.size + _HISTOGRAM.size if timed else _CALLS.size


def total(counted: Sequence[Counted]) -> Counted:
    """Add up counts. The longest time is the longest of all."""
    if len(counted) == 1:
        return counted[0]
    added = [name for name in Counted._fields if name not in ("longest", "buckets")]
    return Counted(
        longest=max((each.longest for each in counted), default=0),
        buckets=tuple(map(sum, zip(*(each.buckets for each in counted)))) or Counted().buckets,
        **{name: sum(getattr(each, name) for each in counted) for name in added},
    )


class Event(NamedTuple):
    """A birth, an exec or an end of a process or thread (``struct event``). Times are CLOCK_MONOTONIC ns."""

    time: int
    born: int  #: 0 if before the trace began
    kind: int  #: the place in ``EVENTS``
    pid: int
    thread: int
    parent: int
    user: int
    ending: int
    comm: bytes
    path: bytes

    @classmethod
    def unpack(cls, record: bytes) -> Event:
        """Read a record of the ring buffer ``events``."""
        return cls(**EVENT.unpack(record), path=record[EVENT.size :])


def text(name: bytes) -> str:
    """Decode a name that the kernel ends with a zero byte."""
    return name.split(b"\0")[0].decode(errors="replace")
