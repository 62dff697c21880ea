# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of our filters: which are attached, where, and with which maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..kernel import bpf, netlink, schema
from . import hooks
from .host_maps import map_id
from .pins import Pins


class Running(NamedTuple):
    """Our program, attached."""

    link: netlink.Link
    attached: hooks.Attached
    info: bpf.ProgramInfo


def stand_in(pins_: Pins, name: str) -> hooks.Attached | None:
    """What stands in for a filter since a change of its mode was interrupted."""
    hook = hooks.split_name(name)[1]
    found = (each.attached for each in programs(pins_, name))
    return next((each for each in found if hook == schema.XDP and each.classifier), None)


def running(pins_: Pins, name: str) -> Running | None:
    """The program of a filter, if it is attached."""
    return next(programs(pins_, name), None)


def own_name(name: str) -> str:
    """A filter's name with its interface's own name in the place of an alternative one."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    return hooks.filter_name(link.name, hook) if link else name


def programs(pins_: Pins, name: str) -> Iterator[Running]:
    """The programs of a filter that are attached: those that count in the counters pinned for it, now or before."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    counters = _counters(pins_, name)
    if link is None or link.name != interface or not counters:
        return
    # One that stands in for another is there only while the mode is changed, or after that was interrupted.
    for attached in (*hooks.programs(link, hook), *hooks.stand_ins(link, hook)):
        info = program_info(attached.program_id)
        if info and counters.intersection(info.map_ids):
            yield Running(link, attached, info)


def _counters(pins_: Pins, name: str) -> set[int]:
    """The ids of the maps in which a filter counts, now or before."""
    used = (each for each in (pins_, pins_.old) if each.exists())
    found = (map_id(each, each.filter_pin(name, "counters")) for each in used)
    return {identity for identity in found if identity is not None}


def goes_on_notes(pins_: Pins, name: str) -> list[str]:
    """Sentences on the programs of a filter that are loaded, and yet on no interface of its name that can be seen here."""
    if not _going_on(pins_, name):
        return []
    hooks.wait_for_packets()  # one that was taken off just now is unloaded after an RCU grace period
    return [
        f"the program of the filter on {name} (id {info.id}) is still loaded, though on no interface of that name here: if the "
        f"interface was moved to another network namespace, it goes on filtering there, by the lists of this host, until it is "
        f"taken off there (ip netns exec NAMESPACE ip link set dev {hooks.split_name(name)[0]} xdp off)"
        for info in _going_on(pins_, name)
    ]


def _going_on(pins_: Pins, name: str) -> list[bpf.ProgramInfo]:
    counters, here = _counters(pins_, name), {each.info.id for each in programs(pins_, name)}
    loaded = (program_info(identity) for identity in (bpf.program_ids() if counters else ()) if identity not in here)
    return [info for info in loaded if info and counters.intersection(info.map_ids)]


def program_info(identity: int) -> bpf.ProgramInfo | None:
    """What the kernel says of a program, or None if it has just been unloaded."""
    try:
        with bpf.Program.from_id(identity) as program:
            return program.info
    except FileNotFoundError:
        return None


def reads_lists(pins_: Pins, info: bpf.ProgramInfo) -> bool:
    """Whether a filter looks into the lists that are pinned here, not into others whose replacement was interrupted."""
    return map_id(pins_, pins_.list_pin(schema.BLOCKLIST, "records")) in info.map_ids
