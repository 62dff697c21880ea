# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bpf_link that keeps an XDP program on an interface, and the processes that hold it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from . import bpf, syscall

_XDP = 6  #: BPF_LINK_TYPE_XDP of linux/bpf.h


class XdpLink(NamedTuple):
    """A link that keeps a program on an interface."""

    link_id: int
    holders: list[str]  #: the other processes that hold it, in words


def xdp_link(ifindex: int, program_id: int) -> XdpLink | None:
    """Return the link that keeps a program on an interface of this network namespace, or None."""
    for link_id in bpf.object_ids(syscall.LINK_NEXT_ID):
        with contextlib.suppress(FileNotFoundError), bpf.Handle(_open(link_id)) as link:
            info = syscall.object_info(link.fd, syscall.LINK_INFO)
            # The program, too: in another network namespace the index is that of another interface.
            if (info["type"], info["prog_id"], info["ifindex"]) == (_XDP, program_id, ifindex):
                return XdpLink(link_id, _holders(f"link_id:\t{link_id}\n"))
    return None


def _open(link_id: int) -> int:
    return syscall.Attributes(syscall.ID, id=link_id).call(syscall.LINK_FD_BY_ID)


def _holders(line: str) -> list[str]:
    """Return the other processes with a file descriptor whose fdinfo has this line."""
    found = []
    for process in (name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()):
        with contextlib.suppress(OSError):  # it has ended
            descriptors = f"/proc/{process}/fdinfo"
            if any(line in _text(f"{descriptors}/{number}") for number in os.listdir(descriptors)):
                found.append(f"process {process} ({_text(f'/proc/{process}/comm').strip()})")
    return found


def _text(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()
