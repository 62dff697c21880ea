# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a filter can be attached: XDP, or tc on either side.

A filter has the name of its interface, followed by a slash and the hook unless that is XDP: ``eth0``, ``eth0/tc_egress``.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import PingKillerError
from ..kernel import bpf, netlink, tc
from ..kernel.schema import TC_INGRESS, XDP

#: The hook on which a classifier replaces an XDP program while its mode is changed.
STAND_IN_HOOK = TC_INGRESS


class Attached(NamedTuple):
    """A program on an interface."""

    mode: str  #: native, generic or offload; tc
    program_id: int
    classifier: tc.Classifier | None = None


def filter_name(interface: str, hook: str) -> str:
    return interface if hook == XDP else f"{interface}/{hook}"


def split_name(name: str) -> tuple[str, str]:
    """Return the interface and the hook of a filter."""
    interface, _slash, hook = name.partition("/")
    return interface, hook or XDP


def programs(link: netlink.Link, hook: str) -> list[Attached]:
    """Return all programs on a hook of an interface, other programs than ours included."""
    if hook == XDP:
        return [Attached(mode, identity) for mode, identity in link.programs.items()]
    return [Attached("tc", found.program_id, found) for found in tc.classifiers(link.ifindex, hook)]


def stand_ins(link: netlink.Link, hook: str) -> list[Attached]:
    """Return the programs of which one may be a stand-in for an XDP program, or none for another hook."""
    return programs(link, STAND_IN_HOOK) if hook == XDP else []


def detach(link: netlink.Link, old: Attached) -> None:
    """Detach this program and no other. Raises PingKillerError."""
    try:
        if old.classifier:
            tc.detach(link.ifindex, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as program:
            netlink.detach_xdp(link.ifindex, program.fd, old.mode)
    except OSError as error:
        raise PingKillerError(
            f"the filter on {link.name!r} could not be detached ({error.strerror}): it goes on; run again"
        ) from error
