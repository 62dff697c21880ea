# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attach a filter, replace it, and change its mode without a moment in which nothing filters."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..errors import PingKillerError
from ..kernel import bpf, compiler, netlink, tc
from ..kernel.schema import XDP
from ..store.hooks import STAND_IN_HOOK, Attached, detach, stand_ins


class Loaded(Protocol):
    """A program in the kernel, loaded by us or by BCC."""

    @property
    def fd(self) -> int: ...


class Placed(NamedTuple):
    """How a program was attached."""

    mode: str  #: native or generic for XDP, tc for tc
    refused: str | None = None  #: why the driver refused native mode, which ``auto`` prefers
    unguarded: str | None = None  #: why nothing filtered for a moment; None: there was no such moment


def attach(link: netlink.Link, program: compiler.Function, *, hook: str, mode: str) -> Placed:
    """Attach a program to a hook without a filter. Raises PingKillerError."""
    if hook != XDP:
        tc.ensure_clsact(link.ifindex)
        tc.attach(link.ifindex, hook, fd=program.fd)
        return Placed("tc")
    first = "generic" if mode == "generic" else "native"
    reason = compiler.attach(link, program, first)
    if not reason:
        return Placed(first)
    if mode != "auto":
        hint = "; use mode auto or generic" if first == "native" else ""
        raise PingKillerError(f"interface {link.name!r} cannot take the filter in {first} mode ({reason}){hint}")
    second = compiler.attach(link, program, "generic")
    if second:
        raise PingKillerError(
            f"interface {link.name!r} takes the filter neither in native mode ({reason}) nor in generic mode ({second}): "
            f"use another interface, or hook tc_ingress"
        )
    return Placed("generic", reason)


def replace(link: netlink.Link, program: Loaded, old: Attached) -> None:
    """Replace a program without a gap. Raises PingKillerError; then the old program stays attached."""
    try:
        if old.classifier:
            tc.replace(link.ifindex, program.fd, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as previous:
            netlink.replace_xdp(link.ifindex, new_fd=program.fd, old_fd=previous.fd, mode=old.mode)
    except OSError as error:
        # Since Linux 5.15 the kernel refuses this even for a program that replaces another one.
        above = (
            "take the filter off that device, or give it hook tc_ingress, and " if "upper device" in str(error) else ""
        )
        raise PingKillerError(
            f"the program on {link.name!r} could not be replaced ({error.strerror}): the one that was there goes on; {above}run again"
        ) from error


# Changing the mode


class Switch(NamedTuple):
    """The programs for a change of mode.

    While the first two run together, each packet is counted by one of them only, and both decide in the same way.
    """

    marking: compiler.Function  #: marks the packets that it has seen, for the stand-in
    stand_in: Loaded  #: a classifier that filters packets without that mark
    final: Loaded


def switch_mode(
    link: netlink.Link, switch: Switch, *, mode: str, old: Attached | None, left: Attached | None
) -> Placed:
    """Change the mode of an XDP program. Raises PingKillerError; then the old program stays attached.

    The kernel allows only one mode at a time, so a classifier filters while there is no XDP program. ``left`` is the
    classifier that an interrupted change has left.
    """
    previous = bpf.Program.from_id(old.program_id) if old else None
    if old:
        replace(link, switch.marking, old)
        old = old._replace(program_id=bpf.program_id(switch.marking.fd))
    stand_in, unguarded = _put_stand_in(link, switch, left)
    if old:
        detach(link, old)
    bpf.wait_for_programs()  # packets that the old program has seen must not reach the new one
    try:
        placed = attach(link, switch.marking, hook=XDP, mode=mode)
    except PingKillerError:
        if old and previous:
            netlink.attach_xdp(link.ifindex, switch.marking.fd, old.mode)
            _end_switch(link, switch, final=previous, mode=old.mode, stand_in=stand_in)
        raise
    _end_switch(link, switch, final=switch.final, mode=placed.mode, stand_in=stand_in)
    return placed._replace(unguarded=unguarded)


def _put_stand_in(link: netlink.Link, switch: Switch, left: Attached | None) -> tuple[Attached | None, str | None]:
    """Return the classifier that filters from now on, or the kernel's reason why it cannot be attached."""
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


def _end_switch(link: netlink.Link, switch: Switch, *, final: Loaded, mode: str, stand_in: Attached | None) -> None:
    """Remove the stand-in when the program in its new mode has seen all packets that are still being processed."""
    bpf.wait_for_programs()
    if stand_in:
        detach(link, stand_in)
    netlink.replace_xdp(link.ifindex, new_fd=final.fd, old_fd=switch.marking.fd, mode=mode)
