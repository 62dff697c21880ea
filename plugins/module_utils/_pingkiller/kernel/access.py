# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that this process may use bpf(2)."""

from __future__ import annotations

import os

from ..errors import PingKillerError
from . import bpf


def require_root(way_out: str = "set become: true, or -b on the command line") -> None:
    """Raise PingKillerError for any other user: others cannot even see the pins. ``way_out`` says how to become root."""
    if os.geteuid() != 0:
        raise PingKillerError(f"this needs root on the managed host: {way_out}")


def require_bpf() -> None:
    """Raise PingKillerError if this process cannot use bpf(2) on this host."""
    require_root()
    try:
        bpf.probe()
    except OSError as error:
        raise PingKillerError(
            f"the kernel {os.uname().release} refuses the bpf system call ({error.strerror}): it needs CONFIG_BPF_SYSCALL, "
            f"and in a container the right to use it"
        ) from None
