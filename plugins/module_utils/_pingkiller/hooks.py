# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a filter can be attached, and how: XDP, or tc on either side.

A filter's name is its interface's, with the hook behind a slash where that is not XDP: ``eth0``, ``eth0/tc_egress``.
"""

from __future__ import annotations

from typing import NamedTuple

from . import bpf, compiler, netlink, tc
from .errors import PingKillerError

XDP = "xdp"


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


def attach(link: netlink.Link, hook: str, program, mode: str) -> tuple[str, str | None]:
    """Attach where no filter is: the mode it runs in and, where that is not the first choice, the driver's reason."""
    if hook != XDP:
        tc.attach(link.index, hook, program.fd)
        return "tc", None
    first = "generic" if mode == "generic" else "native"
    reason = compiler.attach(link, program, first)
    if not reason:
        return first, None
    if mode != "auto":
        hint = "; use mode auto or generic" if first == "native" else ""
        raise PingKillerError(f"interface {link.name!r} cannot take the filter in {first} mode ({reason}){hint}")
    second = compiler.attach(link, program, "generic")
    if second:
        raise PingKillerError(
            f"interface {link.name!r} takes the filter neither in native mode ({reason}) nor in generic mode ({second}): "
            f"use another interface, or hook tc_ingress"
        )
    return "generic", reason


def replace(link: netlink.Link, hook: str, program, old: Attached) -> None:
    """Put a program in another's place, without a moment between. Raises PingKillerError; the old one then goes on."""
    try:
        if hook != XDP:
            tc.replace(link.index, hook, program.fd, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as previous:
            netlink.replace_xdp(link.index, program.fd, previous.fd, old.mode)
    except OSError as error:
        raise PingKillerError(
            f"the program on {filter_name(link.name, hook)!r} could not be replaced ({error.strerror}): "
            f"the one that was there goes on; run again"
        ) from error


def switch_mode(link: netlink.Link, program, mode: str, old: Attached) -> tuple[str, str | None]:
    """Native and generic exclude each other in the kernel, so the old program goes first; back it comes on failure."""
    with bpf.Program.from_id(old.program_id) as previous:
        netlink.detach_xdp(link.index, previous.fd, old.mode)
        try:
            return attach(link, XDP, program, mode)
        except PingKillerError:
            netlink.attach_xdp(link.index, previous.fd, old.mode)
            raise


def detach(link: netlink.Link, hook: str, old: Attached) -> None:
    """Take exactly this program off. Raises PingKillerError."""
    try:
        if hook != XDP:
            tc.detach(link.index, hook, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as program:
            netlink.detach_xdp(link.index, program.fd, old.mode)
    except OSError as error:
        raise PingKillerError(
            f"the filter on {filter_name(link.name, hook)!r} could not be detached ({error.strerror}): it goes on; run again"
        ) from error
