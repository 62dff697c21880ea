# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attach a filter, put it in another's place, and change its mode without a moment in which nothing filters."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..errors import PingKillerError
from ..kernel import bpf, compiler, netlink, tc
from ..kernel.schema import XDP
from ..store.hooks import STAND_IN_HOOK, Attached, detach, stand_ins, wait_for_packets


class Loaded(Protocol):
    """A program in the kernel, ours or BCC's."""

    @property
    def fd(self) -> int: ...


class Placed(NamedTuple):
    """How a program has come to run."""

    mode: str  #: native, generic; tc
    refused: str | None = None  #: why the driver refused native mode, where ``auto`` would rather have it
    unguarded: str | None = None  #: why nothing filtered for a moment, if that was so


def attach(link: netlink.Link, program: Loaded, *, hook: str, mode: str) -> Placed:
    """Attach a program where no filter is. Raises PingKillerError."""
    if hook != XDP:
        tc.ensure_clsact(link.index)
        tc.attach(link.index, hook, program.fd)
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
    """Replace a program without a moment between. Raises PingKillerError; the old program then goes on."""
    try:
        if old.classifier:
            tc.replace(link.index, program.fd, old.classifier)
            return
        with bpf.Program.from_id(old.program_id) as previous:
            netlink.replace_xdp(link.index, program.fd, previous.fd, old.mode)
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

    marking: Loaded  #: tells the stand-in which packets it has seen
    stand_in: Loaded  #: a classifier that filters the others
    final: Loaded


def switch_mode(
    link: netlink.Link, switch: Switch, *, mode: str, old: Attached | None, left: Attached | None
) -> Placed:
    """Change the mode of an XDP program. Raises PingKillerError; the program that filtered then goes on.

    The kernel allows no two modes at once, so a classifier filters while there is no XDP program. ``left`` is the classifier
    that an interrupted change has left.
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
        placed = attach(link, switch.marking, hook=XDP, mode=mode)
    except PingKillerError:
        if old and previous:
            netlink.attach_xdp(link.index, switch.marking.fd, old.mode)
            _end_switch(link, switch, final=previous, mode=old.mode, stand_in=stand_in)
        raise
    _end_switch(link, switch, final=switch.final, mode=placed.mode, stand_in=stand_in)
    return placed._replace(unguarded=unguarded)


def _put_stand_in(link: netlink.Link, switch: Switch, left: Attached | None) -> tuple[Attached | None, str | None]:
    """Return the classifier that filters from now on, or the kernel's reason why there can be none."""
    if left:
        replace(link, switch.stand_in, left)
    else:
        try:
            tc.ensure_clsact(link.index)
            tc.attach(link.index, STAND_IN_HOOK, switch.stand_in.fd, tc.EARLY_PRIORITIES)
        except OSError as error:
            return None, error.strerror
    identity = bpf.program_id(switch.stand_in.fd)
    return next(each for each in stand_ins(link, XDP) if each.program_id == identity), None


def _end_switch(link: netlink.Link, switch: Switch, *, final: Loaded, mode: str, stand_in: Attached | None) -> None:
    """Remove the stand-in, once no packet is under way that the program in its new mode has not seen."""
    wait_for_packets()
    if stand_in:
        detach(link, stand_in)
    netlink.replace_xdp(link.index, final.fd, switch.marking.fd, mode)
