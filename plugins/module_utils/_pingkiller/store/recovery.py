# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes before every change, under the lock: put right what a killed run, or somebody else, has left.

Nothing here touches what filters. A program keeps its maps alive, also those that only user space reads, since they were
bound to it; so the pins of a filter that runs can always be made again, whoever removed them.
"""

from __future__ import annotations

import contextlib
import os

from ..errors import PingKillerError
from ..kernel import bpf, netlink, schema
from . import entry_list, filter_meta, filter_programs, hooks, host_maps, migration, pins
from .pins import Pins


def settle(pins_: Pins, names: tuple[str, ...] | None = None) -> list[str]:
    """Make the pins agree with what runs; what was put right and a user should know of, as sentences.

    ``names`` are the filters that a run is about, none given: all of them; None: those of a host that has no pins at all.
    """
    pins_.require_ours()  # here, since whoever waited for the lock has looked too early
    settle_maps(pins_)
    notes = _follow_renamed(pins_)  # first, or the pins would seem to be gone
    notes += _restore(pins_, names)
    if pins_.exists():
        notes += _take_over(pins_)
        pins_.remove_lists(pins.NEXT)
    return notes


def settle_maps(pins_: Pins) -> None:
    """End the replacement of all maps, or go back to before it, whichever the programs agree with.

    As long as some programs read these lists and some those, both stay: ``unfinished`` then.
    """
    if unfinished(pins_):
        old_read = _read_by_any(pins_, pins_.old)
        if not pins_.exists() or (old_read and not _read_by_any(pins_, pins_)):
            pins_.swap_back()
        elif not old_read:
            hooks.wait_for_packets()
            migration.carry_counts(pins_)
            pins_.discard_old()
    pins_.next.remove_all()


def unfinished(pins_: Pins) -> bool:
    """Whether maps that were replaced are still there: some program uses them, or they have counts."""
    return pins_.old.exists()


def _read_by_any(pins_: Pins, read: Pins) -> bool:
    """Whether a filter of this host looks into the lists of these pins."""
    names = {*pins_.filters(), *pins_.old.filters()}
    found = (each for name in names for each in filter_programs.programs(pins_, name))
    return any(filter_programs.reads_lists(read, each.info) for each in found)


def reading_others(pins_: Pins) -> list[tuple[str, filter_programs.Running]]:
    """The filters, by name, that read lists that are pinned nowhere here, and whose change nobody is about to complete.

    Another run has seen another BPF file system, as one does in a mount namespace of its own, or somebody removed pins.
    Raises PingKillerError if what is pinned there is no list of ours, since that is not ours to replace.
    """
    if unfinished(pins_):
        return []
    reading = [(name, each) for name, each in _running(pins_) if not filter_programs.reads_lists(pins_, each.info)]
    for name in schema.LISTS if reading else ():
        with entry_list.opened_list(pins_, name):
            pass
    return reading


def _running(pins_: Pins) -> list[tuple[str, filter_programs.Running]]:
    """The programs of the filters that have pins, by the filters' names."""
    return [(name, each) for name in pins_.filters() for each in filter_programs.programs(pins_, name)]


def _take_over(pins_: Pins) -> list[str]:
    """Pin the lists that the filters read in the place of those that none of them reads, and other maps that are missing."""
    missing = not all(os.path.lexists(pins_.host_pin(name)) for name in schema.HOST_MAPS)
    for name, each in _running(pins_) if missing and not unfinished(pins_) else ():
        _pin_maps_of(pins_, name, each.info.id)
    reading = reading_others(pins_)
    read = {_records_of(each.info) for _name, each in reading}
    if len(read) != 1 or _read_by_any(pins_, pins_):
        return []
    for name, each in reading:  # what is to be refused is refused before anything is gone
        with pins.closing_all(_maps_of(each.info.id)) as maps:
            _missing(pins_, {**_host_places(pins_), **_filter_places(pins_, name)}, maps)
    pins_.discard_lists()
    for name, each in reading:
        _pin_maps_of(pins_, name, each.info.id)
    names = ", ".join(name for name, _each in reading)
    return [
        f"the lists that the filter on {names} reads were others than those pinned at {pins_.base}, as after a run in a mount "
        f"namespace of its own: what it reads is pinned there now, with all entries"
    ]


def require_same_lists(pins_: Pins) -> None:
    """Raises PingKillerError if a change of the lists would not be one of what the filters read."""
    reading = reading_others(pins_)
    if reading:
        raise PingKillerError(
            f"the filter on {reading[0][0]} reads other lists than those pinned at {pins_.base}, as after a run in a mount namespace "
            f"of its own: run xdp_filter first, which lets all filters read the same"
        )


def _records_of(info: bpf.ProgramInfo) -> int | None:
    """The id of the map that the blocklist of a program is in."""
    with pins.closing_all(_maps_of(info.id)) as maps:
        found = maps.get(bpf.kernel_name(schema.LIST_PREFIX[schema.BLOCKLIST] + "records"))
        return found.id if found else None


def _follow_renamed(pins_: Pins) -> list[str]:
    """Give the pins of a filter whose interface was renamed the name that it has now."""
    notes = []
    for name, new in renamed(pins_).items():
        pins_.rename_filter(name, new)
        notes.append(f"the interface of the filter {name} was renamed: it is {new} now, with the counters it had")
    return notes


def renamed(pins_: Pins) -> dict[str, str]:
    """The filters whose interface was renamed since their pins were made, with the name that each has now."""
    found = {
        name: _found_elsewhere(pins_, name) for name in pins_.filters() if not filter_programs.running(pins_, name)
    }
    return {name: new for name, new in found.items() if new}


def _found_elsewhere(pins_: Pins, name: str) -> str | None:
    """The name of the filter whose program counts in the counters of another one."""
    counters = pins_.open(pins_.filter_pin(name, "counters"))
    if counters is None:
        return None
    hook = hooks.split_name(name)[1]
    with counters:
        for link in netlink.links():
            for attached in hooks.programs(link, hook):
                info = filter_programs.program_info(attached.program_id)
                if info and counters.id in info.map_ids:
                    return hooks.filter_name(link.name, hook)
    return None


# Pins that are gone

_BOUND = ("owners", "claims")  #: maps of the host that no program reads


def bind(pins_: Pins, name: str, fd: int) -> None:
    """Let a program of a filter hold the maps that only user space reads."""
    paths = [*(pins_.host_pin(each) for each in _BOUND), pins_.filter_pin(name, "meta")]
    with bpf.Program(os.dup(fd)) as program:
        for path in paths:
            found = pins_.open(path)
            if not found:
                raise PingKillerError(f"{path} has gone while it was needed: find out who removed it, and run again")
            with found:
                program.bind(found)


def _restore(pins_: Pins, names: tuple[str, ...] | None) -> list[str]:
    """Pin the maps of programs of ours again where the pins are gone: unmounted, or removed by somebody."""
    if names is None and pins_.has_lists():
        return []
    notes = []
    for link in netlink.links():
        for name in (hooks.filter_name(link.name, hook) for hook in schema.HOOKS):
            if (not names or name in names) and _restore_one(pins_, link, name):
                notes.append(
                    f"the pins of the filter on {name} were gone, and were made again from the program that runs"
                )
    return notes


def any_lost(pins_: Pins) -> bool:
    """Whether any filter of this base runs whose pins are gone."""
    return any(
        lost(pins_, link, hooks.filter_name(link.name, hook)) for link in netlink.links() for hook in schema.HOOKS
    )


def lost(pins_: Pins, link: netlink.Link, name: str) -> hooks.Attached | None:
    """The program of a filter of this base whose pins are gone."""
    if os.path.isdir(pins_.filter_pin(name)):
        return None
    for attached in hooks.programs(link, hooks.split_name(name)[1]):
        with pins.closing_all(_maps_of(attached.program_id)) as maps:
            if _is_ours(pins_, maps):
                return attached
    return None


def _maps_of(program_id: int) -> dict[str, bpf.Map]:
    """The maps of a program called as ours are, by name."""
    info = filter_programs.program_info(program_id)
    if not info or info.name != schema.FUNCTION:
        return {}
    found = [bpf.Map.from_id(identity) for identity in info.map_ids]
    return {each.name: each for each in found}


def _is_ours(pins_: Pins, maps: dict[str, bpf.Map]) -> bool:
    """Whether these are the maps of a filter of this base, all that it takes to make the pins again."""
    return all(bpf.kernel_name(name) in maps for name in _BOUND) and _noted(maps).base == pins_.base


def _noted(maps: dict[str, bpf.Map]) -> filter_meta.Noted:
    """What a filter has noted of itself, from the maps of its program."""
    meta = maps.get(bpf.kernel_name("filter_meta"))
    return filter_meta.decode(meta) if meta else filter_meta.Noted()


def noted_options(pins_: Pins, link: netlink.Link, name: str) -> dict:
    """The options of a filter that runs, also of one whose pins are gone; empty if there is none."""
    if filter_programs.running(pins_, name):
        return filter_meta.read(pins_, name).options
    attached = lost(pins_, link, name)
    if not attached:
        return {}
    with pins.closing_all(_maps_of(attached.program_id)) as maps:
        return _noted(maps).options


def _restore_one(pins_: Pins, link: netlink.Link, name: str) -> bool:
    attached = lost(pins_, link, name)
    if not attached:
        return False
    _pin_maps_of(pins_, name, attached.program_id)
    return True


def _pin_maps_of(pins_: Pins, name: str, program_id: int) -> None:
    """Pin the maps that a filter's program holds. Lists stay if there are any."""
    with pins.closing_all(_maps_of(program_id)) as maps:
        lists = {
            pins_.list_pin(list_name, each, pins.NEXT): schema.LIST_PREFIX[list_name] + each
            for list_name in schema.LISTS
            for each in schema.list_maps(0)
        }
        pins_.prepare()
        _pin(pins_, _host_places(pins_), maps)
        if not pins_.has_lists():
            pins_.remove_lists(pins.NEXT)
            _pin(pins_, lists, maps)
            pins_.enter_lists()
        _pin(pins_, _filter_places(pins_, name), maps)


def _host_places(pins_: Pins) -> dict[str, str]:
    """Where the host's maps are pinned, each with the map's name."""
    return {pins_.host_pin(each): each for each in schema.HOST_PINS}


def _filter_places(pins_: Pins, name: str) -> dict[str, str]:
    return {pins_.filter_pin(name, each): schema.FILTER_PREFIX + each for each in schema.FILTER_PINS}


def _pin(pins_: Pins, places: dict[str, str], maps: dict[str, bpf.Map]) -> None:
    """Pin each of these maps, in the place of one like it. Raises PingKillerError where something else is."""
    for path, missing in _missing(pins_, places, maps).items():
        pins_.make_directory(os.path.dirname(path))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        missing.pin(path)


def _missing(pins_: Pins, places: dict[str, str], maps: dict[str, bpf.Map]) -> dict[str, bpf.Map]:
    """Those of these maps that are not in their places, by place. Raises PingKillerError where something else is."""
    found = {path: maps.get(bpf.kernel_name(name)) for path, name in places.items()}
    return {path: each for path, each in found.items() if each and _id_in_place(pins_, path, each.info) != each.id}


def _id_in_place(pins_: Pins, path: str, info: bpf.MapInfo) -> int | None:
    return host_maps.map_id(pins_, path, info, any_size=os.path.basename(path) in schema.SIZED_MAPS)
