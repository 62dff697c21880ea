# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The macros that say whose calls a program looks at: see ``bpf/trace/who.h``."""

from __future__ import annotations

import os
import sys

from .request import Request

_FIRST_NAMESPACE = 0xEFFFFFFC  #: the inode of the first PID namespace: PROC_PID_INIT_INO of the kernel


def definitions(request: Request, cgroup: str | None) -> dict[str, str]:
    """Return the macros by name. ``cgroup`` is the directory of the cgroup to look at, if there is one."""
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
        made.update(_comm(request.comm))
    if cgroup:
        made["ONLY_CGROUP"] = "1"
    return made


def _comm(comm: str) -> dict[str, str]:
    """Return a command's name as the two words of 64 bits that the kernel keeps it in."""
    name = os.fsencode(comm).ljust(16, b"\0")
    low, high = (int.from_bytes(half, sys.byteorder) for half in (name[:8], name[8:]))
    return {"ONLY_COMM_LOW": f"{low}ULL", "ONLY_COMM_HIGH": f"{high}ULL"}
