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

#: What the maps of a list are called in the kernel before their own names.
LIST_PREFIX = {name: name[:5] + "_" for name in schema.LISTS}


def require_root() -> None:
    """Raises PingKillerError for anybody else: the pins are not even to be seen by others."""
    if os.geteuid() != 0:
        raise PingKillerError("this needs root on the managed host: set become: true, or -b on the command line")


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
            pins_.ensure(path, info, prefix=LIST_PREFIX[list_name]).close()


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


def programs(pins_: Pins, name: str) -> Iterator[Running]:
    """The programs of a filter that are attached: those that count in the counters pinned for it, now or before."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    if link is None:
        return
    used = (each for each in (pins_, pins_.old) if each.exists())
    counters = {_map_id(each, each.filter(name, "counters")) for each in used} - {None}
    if not counters:
        return
    # One that stands in for another is there only while the mode is changed, or after that was interrupted.
    for attached in (*hooks.programs(link, hook), *hooks.stand_ins(link, hook)):
        info = program_info(attached.program_id)
        if info and counters.intersection(info.map_ids):
            yield Running(link, attached, info)


def program_info(identity: int) -> bpf.ProgramInfo | None:
    """What the kernel says of a program, or None if it has just been unloaded."""
    try:
        with bpf.Program.from_id(identity) as program:
            return program.info
    except FileNotFoundError:
        return None


def reads_lists(pins_: Pins, info: bpf.ProgramInfo) -> bool:
    """Whether a filter looks into the lists that are pinned here, not into others whose replacement was interrupted."""
    return _map_id(pins_, pins_.list(schema.BLOCKLIST, "records")) in info.map_ids


def _map_id(pins_: Pins, path: str) -> int | None:
    found = pins_.open(path)
    if found is None:
        return None
    with found:
        return found.id
