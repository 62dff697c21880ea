# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attach a filter, put it in another's place, and change its mode without a moment in which nothing filters."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import PingKillerError
from ..kernel import bpf, compiler, netlink, tc
from ..store.hooks import STAND_IN_HOOK, XDP, Attached, detach, stand_ins, wait_for_packets


def attach(link: netlink.Link, hook: str, program, mode: str) -> tuple[str, str | None]:
    """Attach where no filter is: the mode it runs in and, where that is not the first choice, the driver's reason."""
    if hook != XDP:
        tc.ensure_clsact(link.ifindex)
        tc.attach(link.ifindex, hook, fd=program.fd)
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


def replace(link: netlink.Link, program, old: Attached) -> None:
    """Put a program in another's place, without a moment between. Raises PingKillerError; the old one then goes on."""
    try:
        if old.classifier:
            tc.replace(link.ifindex, program.fd, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as previous:
            netlink.replace_xdp(link.ifindex, new_fd=program.fd, old_fd=previous.fd, mode=old.mode)
    except OSError as error:
        # Since Linux 5.15 the kernel refuses, also for a program that only takes another's place.
        above = (
            "take the filter off that device, or give it hook tc_ingress, and " if "upper device" in str(error) else ""
        )
        raise PingKillerError(
            f"the program on {link.name!r} could not be replaced ({error.strerror}): the one that was there goes on; {above}run again"
        ) from error


# Changing the mode


class Switch(NamedTuple):
    """The programs that a change of mode takes. The first two count each packet once between them, and drop alike."""

    marking: object  #: tells the stand-in which packets it has seen
    stand_in: object  #: a classifier that filters the others
    final: object


def switch_mode(
    link: netlink.Link, switch: Switch, mode: str, old: Attached | None, left: Attached | None
) -> tuple[str, str | None, str | None]:
    """Change an XDP program's mode: the mode it runs in now, the driver's reason if that is not the first choice, and why
    the interface was without a filter meanwhile, if it had to be.

    The kernel has no two modes at once, so a classifier filters while there is no XDP program; ``left`` is the one that an
    interrupted change has left. Raises PingKillerError; what filtered goes on.
    """
    previous = bpf.Program.from_id(old.program_id) if old else None
    if old:
        replace(link, switch.marking, old)
        old = old._replace(program_id=bpf.program_id(switch.marking.fd))
    stand_in, unguarded = _put_stand_in(link, switch, left)
    if old:
        detach(link, old)
    wait_for_packets()  # those that the old program has seen are not to be seen by the new one
    try:
        now, reason = attach(link, XDP, switch.marking, mode)
    except PingKillerError:
        if old:
            netlink.attach_xdp(link.ifindex, switch.marking.fd, old.mode)
            _end_switch(link, switch, previous, old.mode, stand_in)
        raise
    _end_switch(link, switch, switch.final, now, stand_in)
    return now, reason, unguarded


def _put_stand_in(link: netlink.Link, switch: Switch, left: Attached | None) -> tuple[Attached | None, str | None]:
    """The classifier that filters from now on, or the kernel's reason why there can be none."""
    if left:
        replace(link, switch.stand_in, left)
    else:
        try:
            tc.ensure_clsact(link.ifindex)
            tc.attach(link.ifindex, STAND_IN_HOOK, fd=switch.stand_in.fd, priorities=tc.EARLY_PRIORITIES)
        except OSError as error:
            return None, error.strerror
    identity = bpf.program_id(switch.stand_in.fd)
    return next(each for each in stand_ins(link, XDP) if each.program_id == identity), None


def _end_switch(link: netlink.Link, switch: Switch, final, mode: str, stand_in: Attached | None) -> None:
    """Once no packet is under way that the program in its new mode has not seen, the stand-in can go."""
    wait_for_packets()
    if stand_in:
        detach(link, stand_in)
    netlink.replace_xdp(link.ifindex, new_fd=final.fd, old_fd=switch.marking.fd, mode=mode)
