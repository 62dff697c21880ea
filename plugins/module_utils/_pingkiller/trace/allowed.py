# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether tracing is possible on this host, and find out what forbids it if not."""

from __future__ import annotations

import errno
import os
import struct

from ..errors import PingKillerError
from ..kernel import access, bpf
from . import syscalls

_RAW_TRACEPOINT = 17
#: BPF instructions that read eight bytes of the kernel's memory, as all tracers do, and return 0.
_TRIAL = b"".join(
    struct.pack("=BBhi", *instruction)
    for instruction in (
        (0xBF, 0xA1, 0, 0),  # r1 = r10
        (0x07, 0x01, 0, -8),  # r1 += -8
        (0xB7, 0x02, 0, 8),  # r2 = 8
        (0xB7, 0x03, 0, 0),  # r3 = 0
        (0x85, 0x00, 0, 113),  # call bpf_probe_read_kernel
        (0xB7, 0x00, 0, 0),  # r0 = 0
        (0x95, 0x00, 0, 0),  # exit
    )
)
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39
_WAY_OUT = "trace on the machine that this one runs on"


def require() -> None:
    """Raise PingKillerError, which names the reason, if tracing is not possible."""
    access.require_root()
    if not syscalls.numbers():
        raise PingKillerError(f"this host has a {os.uname().machine} processor: the tracers need x86-64 or arm64")
    try:
        with bpf.Program.load("pingkiller_try", _RAW_TRACEPOINT, _TRIAL) as program:
            bpf.attach_raw_tracepoint("sys_enter", program.fd).close()
    except OSError as error:
        raise PingKillerError(_reason(error)) from None


def _reason(error: OSError) -> str:
    status = _status()
    if "[confidentiality]" in _read("/sys/kernel/security/lockdown"):
        return "the kernel is locked down (confidentiality), so tracing is forbidden: boot it with lockdown=integrity or less"
    if error.errno == errno.ENOENT:
        return f"the kernel {os.uname().release} has no tracepoints at system calls: it needs CONFIG_FTRACE_SYSCALLS"
    if error.errno == errno.EPERM and not _may_trace(int(status.get("CapEff", "0"), 16)):
        return f"this process has neither CAP_BPF and CAP_PERFMON nor CAP_SYS_ADMIN: give its container these, or {_WAY_OUT}"
    if error.errno == errno.EPERM and _read("/proc/self/uid_map").split() != ["0", "0", "4294967295"]:
        return f"this is a user namespace, whose root may not trace: {_WAY_OUT}"
    if error.errno == errno.EPERM and status.get("Seccomp") == "2":
        return f"a seccomp filter, as containers have, refuses the bpf system call: allow it there, or {_WAY_OUT}"
    return (
        f"the kernel {os.uname().release} refuses a program at a tracepoint ({error.strerror}): it needs CONFIG_BPF_EVENTS, "
        f"and the security modules of this host have to allow it"
    )


def _may_trace(capabilities: int) -> bool:
    has = {number for number in (_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF) if capabilities >> number & 1}
    return _CAP_SYS_ADMIN in has or {_CAP_PERFMON, _CAP_BPF} <= has


def _status() -> dict[str, str]:
    lines = (line.partition(":") for line in _read("/proc/self/status").splitlines())
    return {name: value.strip() for name, _colon, value in lines}


def _read(path: str) -> str:
    """Read a file. Return an empty text if there is no such file."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
