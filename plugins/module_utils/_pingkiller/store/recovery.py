# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repair before every change, under the lock, what a killed run or somebody else has left.

Nothing here touches the programs that filter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..errors import PingKillerError
from ..kernel import bpf, netlink, schema
from . import entry_list, filter_programs, hooks, host_maps, lost_pins, migration, pins
from .filter_programs import Running
from .paths import NEXT, Paths
from .pins import Pins


def settle(pins_: Pins, names: tuple[str, ...] | None = None) -> list[str]:
    """Make the pins agree with what runs. Returns sentences about what was repaired and a user should know.

    ``names`` are the filters that a run changes, or empty for all filters, or None: see ``lost_pins.restore``.
    """
    pins_.require_ours()  # again, since much can happen while a run waits for the lock
    settle_maps(pins_)
    notes = _follow_renamed(pins_)  # first, or the pins would seem to be gone
    notes += lost_pins.restore(pins_, names)
    if pins_.exists():
        notes += _take_over(pins_)
        pins_.remove_lists(NEXT)
    return notes


# A replacement of all maps that was interrupted


def settle_maps(pins_: Pins) -> None:
    """Complete the replacement of all maps or take it back, whichever agrees with the lists that the programs read.

    While some programs read the old lists and some the new ones, both stay, and ``unfinished`` is true.
    """
    if unfinished(pins_):
        old_read = _read_by_any(pins_, pins_.old)
        if not pins_.exists() or (old_read and not _read_by_any(pins_, pins_)):
            pins_.swap_back()
        elif not old_read:
            bpf.wait_for_programs()
            migration.carry_counts(pins_)
            pins_.discard_old()
    pins_.new.remove_all()


def unfinished(pins_: Paths) -> bool:
    """Return whether old maps still exist: some program uses them, or their counts have not been added."""
    return pins_.old.exists()


def _read_by_any(pins_: Pins, lists: Pins) -> bool:
    """Return whether a filter of this host reads the lists of these pins."""
    names = {*pins_.filters(), *pins_.old.filters()}
    found = (program for name in names for program in filter_programs.programs(pins_, name))
    return any(filter_programs.reads_lists(lists, program.info) for program in found)


# Filters that read other lists


def require_same_lists(pins_: Pins) -> None:
    """Raise PingKillerError if a change of the lists would not change what the filters read."""
    reading = reading_others(pins_)
    if reading:
        raise PingKillerError(
            f"the filter on {reading[0].name} reads other lists than those pinned at {pins_.base}, as after a run in a mount namespace "
            f"of its own: run xdp_filter first, which makes all filters read the same lists"
        )


def reading_others(pins_: Pins) -> list[Running]:
    """Return the filters that read other lists than the pinned ones, though no change is unfinished.

    The other lists come from a run that saw another BPF file system, in a mount namespace of its own, or somebody removed
    their pins. Raises PingKillerError if the pinned maps are not lists of ours, since they may not be replaced then.
    """
    if unfinished(pins_):
        return []
    reading = [found for found in _running(pins_) if not filter_programs.reads_lists(pins_, found.info)]
    if reading:
        for name in schema.LISTS:
            with entry_list.opened_list(pins_, name):
                pass
    return reading


def _running(pins_: Pins) -> Iterator[Running]:
    for name in pins_.filters():
        yield from filter_programs.programs(pins_, name)


def _take_over(pins_: Pins) -> list[str]:
    """Pin the host's maps if some are missing. Pin the lists that all filters read, if none of them reads the pinned ones."""
    missing = not all(os.path.lexists(pins_.host_pin(name)) for name in schema.HOST_MAPS)
    if missing and not unfinished(pins_):
        for found in list(_running(pins_)):
            lost_pins.pin_maps_of(pins_, found.name, found.info.id)
    reading = reading_others(pins_)
    read = {_blocklist_of(found.info) for found in reading}
    if len(read) != 1 or _read_by_any(pins_, pins_):
        return []
    for found in reading:  # refuse before anything is removed
        lost_pins.check_places(pins_, found.name, found.info.id)
    pins_.discard_lists()
    for found in reading:
        lost_pins.pin_maps_of(pins_, found.name, found.info.id)
    names = ", ".join(found.name for found in reading)
    return [
        f"the lists that the filter on {names} reads were others than those pinned at {pins_.base}, as after a run in a mount "
        f"namespace of its own: what it reads is pinned there now, with all entries"
    ]


def _blocklist_of(info: bpf.ProgramInfo) -> int | None:
    """Return the id of the map that has the records of a program's blocklist."""
    with pins.closing_all(lost_pins.maps_of(info.id)) as maps:
        found = maps.get(bpf.kernel_name(schema.LIST_PREFIX[schema.BLOCKLIST] + "records"))
        return found.map_id if found else None


# Interfaces that were renamed


def _follow_renamed(pins_: Pins) -> list[str]:
    """Rename the pins of filters whose interface was renamed. Returns sentences about them."""
    notes = []
    for name, new in renamed(pins_).items():
        pins_.rename_filter(name, new)
        notes.append(f"the interface of the filter {name} was renamed: it is {new} now, with the counters it had")
    return notes


def renamed(pins_: Pins) -> dict[str, str]:
    """Return the new names of filters whose interface was renamed since their pins were made, by the old names."""
    found = {
        name: _found_elsewhere(pins_, name) for name in pins_.filters() if not filter_programs.running(pins_, name)
    }
    return {name: new for name, new in found.items() if new}


def _found_elsewhere(pins_: Pins, name: str) -> str | None:
    """Return the filter name of the interface whose program counts in this filter's counters."""
    counters = host_maps.map_id(pins_, pins_.filter_pin(name, "counters"))
    if counters is None:
        return None
    hook = hooks.split_name(name)[1]
    for link in netlink.links():
        for attached in hooks.programs(link, hook):
            info = filter_programs.program_info(attached.program_id)
            if info and counters in info.map_ids:
                return hooks.filter_name(link.name, hook)
    return None
