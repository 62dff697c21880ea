# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the programs of filters: which are attached, where, and with which maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..kernel import bpf, netlink, schema
from . import hooks
from .host_maps import map_id
from .pins import Pins


class Running(NamedTuple):
    """A program of a filter, attached."""

    name: str  #: the filter's
    link: netlink.Link
    attached: hooks.Attached
    info: bpf.ProgramInfo


def programs(pins_: Pins, name: str) -> Iterator[Running]:
    """Return the attached programs of a filter: those that count in its pinned counters, or in its old ones."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    counters = _counters(pins_, name)
    if link is None or link.name != interface or not counters:
        return
    # A stand-in exists only while the mode is changed, or after that was interrupted.
    for attached in (*hooks.programs(link, hook), *hooks.stand_ins(link, hook)):
        info = program_info(attached.program_id)
        if info and counters.intersection(info.map_ids):
            yield Running(name, link, attached, info)


def running(pins_: Pins, name: str) -> Running | None:
    """Return the program of a filter, or None if it is not attached."""
    return next(programs(pins_, name), None)


def stand_in(pins_: Pins, name: str) -> hooks.Attached | None:
    """Return the classifier that an interrupted change of the mode left in place of an XDP filter, or None."""
    if hooks.split_name(name)[1] != schema.XDP:
        return None
    return next((found.attached for found in programs(pins_, name) if found.attached.classifier), None)


def own_name(name: str) -> str:
    """Return a filter's name with its interface's own name instead of an alternative one."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    return hooks.filter_name(link.name, hook) if link else name


def goes_on_notes(pins_: Pins, name: str) -> list[str]:
    """Return sentences about programs of a filter that are loaded, though not on its interface as far as can be seen here."""
    if not _going_on(pins_, name):
        return []
    bpf.wait_for_programs()  # a program that was just detached is unloaded after an RCU grace period
    return [
        f"the program of the filter on {name} (id {info.id}) is still loaded, though on no interface of that name here: if the "
        f"interface was moved to another network namespace, it goes on filtering there, by the lists of this host, until it is "
        f"taken off there (ip netns exec NAMESPACE ip link set dev {hooks.split_name(name)[0]} xdp off)"
        for info in _going_on(pins_, name)
    ]


def _going_on(pins_: Pins, name: str) -> list[bpf.ProgramInfo]:
    """Return the loaded programs of a filter that ``programs`` does not find."""
    counters, here = _counters(pins_, name), {found.info.id for found in programs(pins_, name)}
    loaded = (program_info(identity) for identity in (bpf.program_ids() if counters else ()) if identity not in here)
    return [info for info in loaded if info and counters.intersection(info.map_ids)]


def _counters(pins_: Pins, name: str) -> set[int]:
    """Return the ids of the maps in which a filter counts: the pinned one, and the old one while maps are replaced."""
    existing = (pins for pins in (pins_, pins_.old) if pins.exists())
    found = (map_id(pins, pins.filter_pin(name, "counters")) for pins in existing)
    return {identity for identity in found if identity is not None}


def program_info(identity: int) -> bpf.ProgramInfo | None:
    """Return what the kernel says about a program, or None if it has just been unloaded."""
    try:
        with bpf.Program.from_id(identity) as program:
            return program.info
    except FileNotFoundError:
        return None


def reads_lists(pins_: Pins, info: bpf.ProgramInfo) -> bool:
    """Return whether a program reads the lists that are pinned here."""
    return map_id(pins_, pins_.list_pin(schema.BLOCKLIST, "records")) in info.map_ids
