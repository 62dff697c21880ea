# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's state as a whole: make it, open it, check what it needs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from . import bpf, hooks, netlink, pins, schema
from .errors import PingKillerError
from .lists import Control, EntryList
from .pins import Pins


def require_root(way_out: str = "set become: true, or -b on the command line") -> None:
    """Raises PingKillerError for anybody else: the pins are not even to be seen by others."""
    if os.geteuid() != 0:
        raise PingKillerError(f"this needs root on the managed host: {way_out}")


def require_bpf() -> None:
    """Raises PingKillerError if this process cannot use bpf(2) here."""
    require_root()
    try:
        bpf.probe()
    except OSError as error:
        raise PingKillerError(
            f"the kernel {os.uname().release} refuses the bpf system call ({error.strerror}): it needs CONFIG_BPF_SYSCALL, "
            f"and in a container the right to use it"
        ) from None


def create(pins_: Pins, capacity: int) -> None:
    """Make whatever is missing of the host's maps. A host that has lists keeps them, with their capacity."""
    pins_.prepare()
    with pins.closing_all({}) as opened:
        require_present_schema(pins_)
        for name, info in schema.HOST_MAPS.items():
            opened[name] = pins_.ensure(pins_.host(name), info)
        with contextlib.closing(Control(opened["control"])) as control:
            control.stamp()
    pins_.make_directory(pins_.host("filters"))
    if not pins_.has_lists():
        create_lists(pins_, capacity)
        pins_.enter_lists()


def create_lists(pins_: Pins, capacity: int) -> None:
    """Make the maps of all lists, empty, as the next generation."""
    pins_.remove_lists(pins.NEXT)
    for list_name in schema.LISTS:
        pins_.make_directory(pins_.list(list_name, generation=pins.NEXT))
        for name, info in schema.list_maps(capacity).items():
            path = pins_.list(list_name, name, pins.NEXT)
            pins_.ensure(path, info, prefix=schema.LIST_PREFIX[list_name]).close()


def schema_number(pins_: Pins) -> int:
    """The schema of the maps, this version's where there are none. Raises PingKillerError if it is not known."""
    path = pins_.host("control")
    found = pins_.open(path)
    if found is None:
        return schema.SCHEMA_VERSION
    with found:
        control = schema.HOST_MAPS["control"]
        # A value of another size than any that is known may belong to anybody, but for one that is called as ours are.
        ours = found.name == "control" and found.info._replace(value_size=control.value_size) == control
        number = int.from_bytes((found.lookup(schema.ZERO) or bytes(4))[:4], sys.byteorder) if ours else 0
    number = number or schema.SCHEMA_VERSION
    if number > schema.SCHEMA_VERSION or number < min(schema.EARLIER):
        raise PingKillerError(
            f"the maps on this host have schema {number} and this version of the collection knows {min(schema.EARLIER)} to "
            f"{schema.SCHEMA_VERSION}: deploy with the version that made them or a later one, or remove the filter with "
            f"state=absent and set it up again"
        )
    return number


def require_present_schema(pins_: Pins) -> None:
    """Raises PingKillerError if a list is to be changed whose maps an earlier version made."""
    number = schema_number(pins_)
    if number != schema.SCHEMA_VERSION:
        raise PingKillerError(
            f"the maps on this host have schema {number} and this version of the collection changes schema "
            f"{schema.SCHEMA_VERSION}: run xdp_filter first, which moves what they hold to new ones while they filter"
        )


@contextlib.contextmanager
def opened(pins_: Pins) -> Iterator[dict[str, bpf.Map] | None]:
    """The host's maps, or None on a host that has no state, or not yet all of it."""
    with pins.closing_all({}) as maps:
        for name, info in schema.of_schema(schema.HOST_MAPS, schema_number(pins_)).items():
            found = pins_.open(pins_.host(name), info)
            if not found:
                break
            maps[name] = found
        yield maps if len(maps) == len(schema.HOST_MAPS) and pins_.has_lists() else None


@contextlib.contextmanager
def opened_list(pins_: Pins, name: str) -> Iterator[EntryList | None]:
    """One list, or None on a host that has no state."""
    with opened(pins_) as host:
        if host is None:
            yield None
            return
        with EntryList(pins_, name, host) as entries:
            yield entries


class Running(NamedTuple):
    """Our program, attached."""

    link: netlink.Link
    attached: hooks.Attached
    info: bpf.ProgramInfo


def stand_in(pins_: Pins, name: str) -> hooks.Attached | None:
    """What stands in for a filter since a change of its mode was interrupted."""
    hook = hooks.split_name(name)[1]
    found = (each.attached for each in programs(pins_, name))
    return next((each for each in found if hook == hooks.XDP and each.classifier), None)


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
    found = (map_id(each, each.filter(name, "counters")) for each in used)
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
    return map_id(pins_, pins_.list(schema.BLOCKLIST, "records")) in info.map_ids


def map_id(pins_: Pins, path: str, info: bpf.MapInfo | None = None, any_size: bool = False) -> int | None:
    """The id of the map pinned at a path, None if there is none. Raises PingKillerError if it is not as ``info`` says."""
    found = pins_.open(path, info, any_size)
    if found is None:
        return None
    with found:
        return found.id
