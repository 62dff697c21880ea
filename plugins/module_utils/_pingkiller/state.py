# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's state as a whole: make it, open it, check what it needs."""

from __future__ import annotations

import contextlib
import os
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
        for name, info in schema.HOST_MAPS.items():
            opened[name] = pins_.ensure(pins_.host(name), info)
        control = Control(opened["control"])
        _check_version(control)
        control.stamp()
        control.close()
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


def _check_version(control: Control) -> None:
    if control.schema_version not in (0, schema.SCHEMA_VERSION):
        raise PingKillerError(
            f"the maps on this host have schema {control.schema_version} and this version of the collection has "
            f"{schema.SCHEMA_VERSION}: remove the filter with state=absent and set it up again"
        )


@contextlib.contextmanager
def opened(pins_: Pins) -> Iterator[dict[str, bpf.Map] | None]:
    """The host's maps, or None on a host that has no state, or not yet all of it."""
    with pins.closing_all({}) as maps:
        for name, info in schema.HOST_MAPS.items():
            found = pins_.open(pins_.host(name), info)
            if not found:
                break
            maps[name] = found
        complete = len(maps) == len(schema.HOST_MAPS) and pins_.has_lists()
        if complete:
            control = Control(maps["control"])
            try:
                _check_version(control)
            finally:
                control.close()
        yield maps if complete else None


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
    """The programs of a filter that are attached: those that count in the counters pinned for it."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    if link is None:
        return
    counters = pins_.open(pins_.filter(name, "counters"))
    if counters is None:
        return
    with counters:
        counters_id = counters.id
    # One that stands in for another is there only while the mode is changed, or after that was interrupted.
    for attached in (*hooks.programs(link, hook), *hooks.stand_ins(link, hook)):
        info = program_info(attached.program_id)
        if info and counters_id in info.map_ids:
            yield Running(link, attached, info)


def program_info(identity: int) -> bpf.ProgramInfo | None:
    """What the kernel says of a program, or None if it has just been unloaded."""
    try:
        with bpf.Program.from_id(identity) as program:
            return program.info
    except FileNotFoundError:
        return None


def reads_lists(pins_: Pins, info: bpf.ProgramInfo, generation: str = pins.CURRENT) -> bool:
    """Whether a filter looks into the lists that are pinned now, not into those of an interrupted change of capacity."""
    records = pins_.open(pins_.list(schema.BLOCKLIST, "records", generation))
    if records is None:
        return False
    with records:
        return records.id in info.map_ids
