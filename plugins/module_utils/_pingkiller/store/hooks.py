# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a filter can be attached, and how: XDP, or tc on either side.

A filter's name is its interface's, with the hook behind a slash where that is not XDP: ``eth0``, ``eth0/tc_egress``.
"""

from __future__ import annotations

import ctypes
import platform
import time
from typing import NamedTuple

from ..errors import PingKillerError
from ..kernel import bpf, netlink, tc
from ..kernel.schema import TC_INGRESS, XDP

#: Where a classifier stands in for an XDP program whose mode is being changed.
STAND_IN_HOOK = TC_INGRESS

_MEMBARRIER_NUMBERS = {"x86_64": 324, "i686": 375, "armv7l": 389, "ppc64le": 365, "ppc64": 365, "s390x": 356}
_MEMBARRIER_GLOBAL = 1


class Attached(NamedTuple):
    """A program on an interface."""

    mode: str  #: native, generic, offload; tc
    program_id: int
    classifier: tc.Classifier | None = None


def filter_name(interface: str, hook: str) -> str:
    return interface if hook == XDP else f"{interface}/{hook}"


def split_name(name: str) -> tuple[str, str]:
    """Interface and hook."""
    interface, _slash, hook = name.partition("/")
    return interface, hook or XDP


def programs(link: netlink.Link, hook: str) -> list[Attached]:
    """The programs on a hook of an interface, whoever they belong to."""
    if hook == XDP:
        return [Attached(mode, identity) for mode, identity in link.programs.items()]
    return [Attached("tc", each.program_id, each) for each in tc.classifiers(link.index, hook)]


def stand_ins(link: netlink.Link, hook: str) -> list[Attached]:
    """The programs among which one may stand in, or still stand in, for one on this hook."""
    return programs(link, STAND_IN_HOOK) if hook == XDP else []


def detach(link: netlink.Link, old: Attached) -> None:
    """Take exactly this program off. Raises PingKillerError."""
    try:
        if old.classifier:
            tc.detach(link.index, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as program:
            netlink.detach_xdp(link.index, program.fd, old.mode)
    except OSError as error:
        raise PingKillerError(
            f"the filter on {link.name!r} could not be detached ({error.strerror}): it goes on; run again"
        ) from error


def wait_for_packets() -> None:
    """Until every packet that a replaced program was at is through: membarrier waits for an RCU grace period."""
    number = _MEMBARRIER_NUMBERS.get(platform.machine(), 283)
    if ctypes.CDLL(None, use_errno=True).syscall(number, _MEMBARRIER_GLOBAL, 0, 0):
        time.sleep(0.1)  # with CPUs that have no clock tick the kernel declines
