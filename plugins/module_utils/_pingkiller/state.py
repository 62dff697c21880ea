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
    for name in schema.LISTS:
        create_list(pins_, name, capacity)
    pins_.make_directory(pins_.host("filters"))


def create_list(pins_: Pins, name: str, capacity: int, generation: str = pins.CURRENT) -> None:
    """Make the maps of one list, or those that an interrupted run did not come to."""
    pins_.make_directory(pins_.list(name, generation=generation))
    existing = pins_.open(pins_.list(name, "records", generation))
    if existing:
        capacity = existing.info.max_entries
        existing.close()
    for map_name, info in schema.list_maps(capacity).items():
        pins_.ensure(pins_.list(name, map_name, generation), info, prefix=name[:5] + "_").close()


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
        complete = len(maps) == len(schema.HOST_MAPS) and os.path.isdir(pins_.host(pins.CURRENT))
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


def running(pins_: Pins, name: str) -> Running | None:
    """The program of a filter, if it is attached. Ours is the one that counts in the counters pinned for this filter."""
    interface, hook = hooks.split_name(name)
    link = netlink.link(interface)
    if link is None:
        return None
    counters = pins_.open(pins_.filter(name, "counters"))
    if counters is None:
        return None
    with counters:
        counters_id = counters.id
    for attached in hooks.programs(link, hook):
        info = program_info(attached.program_id)
        if info and counters_id in info.map_ids:
            return Running(link, attached, info)
    return None


def program_info(identity: int) -> bpf.ProgramInfo | None:
    """What the kernel says of a program, or None if it has just been unloaded."""
    try:
        with bpf.Program.from_id(identity) as program:
            return program.info
    except FileNotFoundError:
        return None


def reads_current_lists(pins_: Pins, info: bpf.ProgramInfo) -> bool:
    """Whether a filter looks into the lists that are pinned now, not into those of an interrupted change of capacity."""
    path = pins_.list(schema.BLOCKLIST, "records")
    records = pins_.open(path)
    if records is None:
        return False
    with records:
        return records.id in info.map_ids
