# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the BPF file systems of a host, and mount one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re

from ..errors import PingKillerError
from ..files import reading

DEFAULT_MOUNT = "/sys/fs/bpf"

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")  #: how the kernel writes a space, a tab, a line feed or a backslash

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8  #: linux/mount.h


def mount_of(path: str) -> str | None:
    """Return where the BPF file system that has this path is mounted, or None if the path is on no BPF file system."""
    around = [mount for mount in bpf_mounts() if (path + "/").startswith(mount.rstrip("/") + "/")]
    return max(around, key=len, default=None)


def bpf_mounts() -> list[str]:
    """Return where BPF file systems are mounted."""
    try:
        table = reading.read("/proc/self/mountinfo")
    except ValueError as error:
        raise PingKillerError(f"/proc/self/mountinfo {error}: unmount what nobody needs, and run again") from None
    return mounted(table, b"bpf")


def mounted(table: bytes, kind: bytes) -> list[str]:
    """Return where file systems of a kind are mounted, from the text of /proc/self/mountinfo, see proc(5).

    A path may have any bytes. The kernel writes four of them as octal digits.
    """
    found = []
    for line in table.split(b"\n"):
        before, _dash, after = line.partition(b" - ")
        if after.partition(b" ")[0] == kind:
            found.append(os.fsdecode(_OCTAL.sub(lambda digits: bytes([int(digits[1], 8)]), before.split(b" ")[4])))
    return found


def mount_default() -> None:
    """Mount a BPF file system at the usual place, for root only."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError):
        os.mkdir(DEFAULT_MOUNT, 0o700)
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if libc.mount(b"bpf", DEFAULT_MOUNT.encode(), b"bpf", flags, b"mode=700") != 0:
        reason = os.strerror(ctypes.get_errno())
        raise PingKillerError(
            f"no BPF file system is mounted on {DEFAULT_MOUNT} and mounting one failed ({reason}): "
            f"run 'mount -t bpf -o mode=0700 bpf {DEFAULT_MOUNT}' and look at what it says"
        )
