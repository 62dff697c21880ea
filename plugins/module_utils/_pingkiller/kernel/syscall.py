# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bpf(2) system call and its attributes.

Called directly rather than through libbpf: the supported distributions have different sonames and structures of it, and
loading it costs more than the calls. The layouts are those of ``union bpf_attr`` and of the ``bpf_..._info`` structures in
linux/bpf.h, with the names of their fields. Fields that later kernels have appended are left out, which the kernel reads as
zero.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from typing import Any

from .layout import Layout

#: The number of bpf(2). An architecture that is not named has the number of the generic table.
NUMBER = {
    "x86_64": 321,
    "i686": 357,
    "armv7l": 386,
    "ppc64le": 361,
    "ppc64": 361,
    "s390x": 351,
}.get(os.uname().machine, 280)

# Commands of bpf(2)
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY = range(5)
PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_TEST_RUN = 5, 6, 7, 10
PROG_NEXT_ID, PROG_FD_BY_ID, MAP_FD_BY_ID, INFO_BY_FD = 11, 13, 14, 15
RAW_TRACEPOINT_OPEN = 17
MAP_LOOKUP_BATCH, MAP_UPDATE_BATCH, MAP_DELETE_BATCH = 24, 26, 27
LINK_CREATE, LINK_FD_BY_ID, LINK_NEXT_ID, ENABLE_STATS, PROG_BIND_MAP = 28, 30, 31, 32, 35

# Attributes of the commands. Addresses and sizes of memory are in bytes.
MAP = Layout(
    *("map_type:I", "key_size:I", "value_size:I", "max_entries:I", "map_flags:I", "inner_map_fd:I", "numa_node:I"),
    "map_name:16s",
)
ELEMENT = Layout("map_fd:I", ":4x", "key:Q", "value:Q", "flags:Q")  #: of MAP_NEXT_KEY the value is the next key
BATCH = Layout("in_batch:Q", "out_batch:Q", "keys:Q", "values:Q", "count:I", "map_fd:I", "elem_flags:Q", "flags:Q")
PROGRAM = Layout(
    *("prog_type:I", "insn_cnt:I", "insns:Q", "license:Q", "log_level:I", "log_size:I", "log_buf:Q"),
    *("kern_version:I", "prog_flags:I", "prog_name:16s"),
)
PIN = Layout("pathname:Q", "bpf_fd:I", "file_flags:I")
TEST_RUN = Layout(
    *("prog_fd:I", "retval:I", "data_size_in:I", "data_size_out:I", "data_in:Q", "data_out:Q"),
    *("repeat:I", "duration:I"),
    *("ctx_size_in:I", "ctx_size_out:I", "ctx_in:Q", "ctx_out:Q", "flags:I", "cpu:I", "batch_size:I", ":4x"),
)
ID = Layout("id:I", "next_id:I", "open_flags:I")  #: of ..._FD_BY_ID and ..._NEXT_ID
INFO = Layout("bpf_fd:I", "info_len:I", "info:Q")
RAW_TRACEPOINT = Layout("name:Q", "prog_fd:I", ":4x")
LINK = Layout("prog_fd:I", "target_ifindex:I", "attach_type:I", "flags:I")
STATS = Layout("type:I")
BIND_MAP = Layout("prog_fd:I", "map_fd:I", "flags:I")

# The answers of INFO_BY_FD about a map, a program and a link of XDP.
MAP_INFO = Layout("type:I", "id:I", "key_size:I", "value_size:I", "max_entries:I", "map_flags:I", "name:16s")
PROGRAM_INFO = Layout(
    *("type:I", "id:I", "tag:8s", "jited_prog_len:I", "xlated_prog_len:I", "jited_prog_insns:Q", "xlated_prog_insns:Q"),
    *("load_time:Q", "created_by_uid:I", "nr_map_ids:I", "map_ids:Q", "name:16s"),
    ":112x",  # its interface for offloading, and BTF
    *("run_time_ns:Q", "run_cnt:Q", "recursion_misses:Q", "verified_insns:I", ":12x"),
)
LINK_INFO = Layout("type:I", "id:I", "prog_id:I", ":4x", "ifindex:I", ":12x")

_MEMBARRIER = {"x86_64": 324, "i686": 375, "armv7l": 389, "ppc64le": 365, "ppc64": 365, "s390x": 356}.get(
    os.uname().machine, 283
)
_MEMBARRIER_GLOBAL = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Attributes:
    """The attributes of one call of bpf(2), which the kernel reads and may change."""

    def __init__(self, layout: Layout, **fields: int | bytes) -> None:
        self._layout = layout
        self._buffer = ctypes.create_string_buffer(layout.pack(**fields), layout.size)

    def call(self, command: int) -> int:
        """Make the call and return its result, mostly a file descriptor. Raises OSError with the kernel's errno."""
        result: int = _libc.syscall(NUMBER, command, self._buffer, self._layout.size)
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def read(self) -> dict[str, Any]:
        """Return the attributes by name, as the kernel left them."""
        return self._layout.unpack(self._buffer.raw)


def create(command: int, attributes: Attributes) -> int:
    """Make a map or load a program and return its file descriptor. Raises OSError.

    Before Linux 5.11 its memory counts as locked memory of the process, which may be allowed far too little of it. The limit is
    lifted then.
    """
    try:
        return attributes.call(command)
    except PermissionError:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        if resource.getrlimit(resource.RLIMIT_MEMLOCK) == unlimited:
            raise
        with contextlib.suppress(OSError, ValueError):  # not allowed: the second call fails as the first one did
            resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
        return attributes.call(command)


def object_info(fd: int, layout: Layout, **fields: int) -> dict[str, Any]:
    """Return the information on a map, a program or a link. ``fields`` are the addresses and sizes of arrays to fill."""
    buffer = ctypes.create_string_buffer(layout.pack(**fields), layout.size)
    Attributes(INFO, bpf_fd=fd, info_len=layout.size, info=ctypes.addressof(buffer)).call(INFO_BY_FD)
    return layout.unpack(buffer.raw)


def membarrier() -> bool:
    """Wait for an RCU grace period, see membarrier(2). Return whether the kernel did; with CONFIG_NO_HZ_FULL it refuses."""
    result: int = _libc.syscall(_MEMBARRIER, _MEMBARRIER_GLOBAL, 0, 0)
    return result == 0
