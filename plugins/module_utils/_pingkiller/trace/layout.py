# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracers and user space both lay out in memory: the twin of ``bpf/trace/layout.h``. All in host byte order."""

from __future__ import annotations

import struct

from ..kernel.layout import Layout

MISSED = Layout("lost:Q", "outside:Q", "unfinished:Q")
ROW_KEY = Layout("pid:I", "generation:I", "user:I", "syscall:I", "error:I", "fd:i", "comm:16s")
NO_FD = -1

BUCKETS = 64
COUNTED = ("calls",)
TIMED = (*COUNTED, "ns", "longest", "bytes", "small_calls", "small_bytes", "slow_calls", "slow_ns")
COUNTED_ROW = struct.Struct(f"={len(COUNTED)}Q")
TIMED_ROW = struct.Struct(f"={len(TIMED)}Q{BUCKETS}Q")

BIRTH = Layout("time:Q", "kind:I", "parent:I", "wanted:I", "told:I")
EVENTS = ("clone", "fork", "vfork", "clone3", "exec", "exit")
#: An event without its path, which follows it.
EVENT = Layout("time:Q", "born:Q", "kind:I", "pid:I", "thread:I", "parent:I", "user:I", "ending:I", "comm:16s")
ENDING_KNOWN = 0x10000

#: Entries of tables; pages of ring buffers. All of it is there from the start, so the kernel's memory is bounded by it.
SIZES = {
    "TASKS": 65536,  # threads that are in the middle of a call at a time
    "BIRTHS": 65536,  # threads that were born since the look began, at a time
    "FILES": 4096,  # threads that are in the middle of an exec
    "ENDINGS": 16384,
    "PROCESSES": 1 << 22,  # PID_MAX_LIMIT of the kernel: no pid is higher
    "ROWS": 10240,
    "EVENT_PAGES": 512,
    "NEWCOMER_PAGES": 64,
}
ROWS_MEMORY = 64 << 20  #: bytes, of the values of all CPUs; rows are fewer where there are many CPUs
FEWEST_ROWS = 256


def text(name: bytes) -> str:
    """What the kernel keeps with a zero byte behind it."""
    return name.split(b"\0")[0].decode(errors="replace")
