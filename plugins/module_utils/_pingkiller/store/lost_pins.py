# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find filters whose pins are gone, and make the pins again.

A program keeps its maps alive. The maps that only user space reads are bound to it. So the pins of a filter that runs can
always be made again, whoever removed them.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ..errors import PingKillerError
from ..kernel import bpf, netlink, schema
from . import filter_meta, filter_programs, hooks, host_maps, pins
from .paths import NEXT
from .pins import Pins

_BOUND = ("owners", "claims")  #: maps of the host that no program reads, apart from the comments, which may be missing


def bind(pins_: Pins, name: str, fd: int) -> None:
    """Let a program of a filter keep the maps that only user space reads."""
    paths = [*(pins_.host_pin(bound) for bound in _BOUND), pins_.filter_pin(name, "meta")]
    with bpf.Program(os.dup(fd)) as program:
        for path in paths:
            found = pins_.open_map(path)
            if not found:
                raise PingKillerError(f"{path} was removed while in use: find out who removed it, and run again")
            with found:
                program.bind(found)
        comments = pins_.open_map(pins_.host_pin("comments"))
        with comments or contextlib.nullcontext():
            if comments:
                program.bind(comments)


def bind_to_all(pins_: Pins, map_: bpf.Map) -> None:
    """Let the programs of all filters keep a map that is new."""
    for name in pins_.filters():
        for found in filter_programs.programs(pins_, name):
            with contextlib.suppress(FileNotFoundError), bpf.Program.from_id(found.info.id) as program:
                program.bind(map_)


def restore(pins_: Pins, names: tuple[str, ...] | None) -> list[str]:
    """Pin the maps of filters again whose pins are gone. Returns sentences about these filters.

    ``names`` are the filters to look at, or empty for all filters. None looks at all filters of a host without lists, and
    at no filter of a host that has lists.
    """
    if names is None and pins_.has_lists():
        return []
    notes = []
    for link in netlink.links():
        for name in (hooks.filter_name(link.name, hook) for hook in schema.HOOKS):
            attached = lost(pins_, link, name) if not names or name in names else None
            if attached:
                pin_maps_of(pins_, name, attached.program_id)
                notes.append(
                    f"the pins of the filter on {name} were gone, and were made again from the program that runs"
                )
    return notes


def any_lost(pins_: Pins) -> bool:
    """Return whether any filter of this base runs without its pins."""
    return any(
        lost(pins_, link, hooks.filter_name(link.name, hook)) for link in netlink.links() for hook in schema.HOOKS
    )


def lost(pins_: Pins, link: netlink.Link, name: str) -> hooks.Attached | None:
    """Return the program of a filter of this base if it runs without its pins."""
    if os.path.isdir(pins_.filter_pin(name)):
        return None
    for attached in hooks.programs(link, hooks.split_name(name)[1]):
        with pins.closing_all(maps_of(attached.program_id)) as maps:
            if _is_ours(pins_, maps):
                return attached
    return None


def noted_options(pins_: Pins, link: netlink.Link, name: str) -> dict[str, Any]:
    """Return the options of a filter that runs, with or without its pins; empty if it does not run."""
    if filter_programs.running(pins_, name):
        return filter_meta.read(pins_, name).options
    attached = lost(pins_, link, name)
    if not attached:
        return {}
    with pins.closing_all(maps_of(attached.program_id)) as maps:
        return _noted(maps).options


def maps_of(program_id: int) -> dict[str, bpf.Map]:
    """Open the maps of a program by name; none unless the program has our function's name. The caller closes them."""
    info = filter_programs.program_info(program_id)
    if not info or info.name != schema.FUNCTION:
        return {}
    found = [bpf.Map.from_id(identity) for identity in info.map_ids]
    return {opened.name: opened for opened in found}


def _is_ours(pins_: Pins, maps: dict[str, bpf.Map]) -> bool:
    """Return whether these are the maps of a filter of this base, and enough to make its pins again."""
    return all(bpf.kernel_name(name) in maps for name in _BOUND) and _noted(maps).base == pins_.base


def _noted(maps: dict[str, bpf.Map]) -> filter_meta.Noted:
    meta = maps.get(bpf.kernel_name("filter_meta"))
    return filter_meta.decode(meta) if meta else filter_meta.Noted()


# Pinning the maps of a program


def pin_maps_of(pins_: Pins, name: str, program_id: int) -> None:
    """Pin the maps of a filter's program. If there are lists already, they stay."""
    with pins.closing_all(maps_of(program_id)) as maps:
        pins_.prepare()
        _pin(pins_, _host_places(pins_), maps)
        if not pins_.has_lists():
            pins_.remove_lists(NEXT)
            _pin(pins_, _list_places(pins_), maps)
            pins_.enter_lists()
        _pin(pins_, _filter_places(pins_, name), maps)


def check_places(pins_: Pins, name: str, program_id: int) -> None:
    """Raise PingKillerError if ``pin_maps_of`` would find something else in a place of the host's or the filter's maps."""
    with pins.closing_all(maps_of(program_id)) as maps:
        _missing(pins_, {**_host_places(pins_), **_filter_places(pins_, name)}, maps)


def _host_places(pins_: Pins) -> dict[str, str]:
    """Return the names of the host's maps by the path of their pin."""
    return {pins_.host_pin(name): name for name in schema.HOST_PINS}


def _list_places(pins_: Pins) -> dict[str, str]:
    """Return the names of the maps of all lists by the path of their pin in the next generation."""
    return {
        pins_.list_pin(list_name, name, NEXT): schema.LIST_PREFIX[list_name] + name
        for list_name in schema.LISTS
        for name in schema.list_maps(0)
    }


def _filter_places(pins_: Pins, filter_name: str) -> dict[str, str]:
    """Return the names of a filter's maps by the path of their pin."""
    return {pins_.filter_pin(filter_name, name): schema.FILTER_PREFIX + name for name in schema.FILTER_PINS}


def _pin(pins_: Pins, places: dict[str, str], maps: dict[str, bpf.Map]) -> None:
    """Pin maps in their places, replacing pins of other maps of the same shape."""
    for path, missing in _missing(pins_, places, maps).items():
        pins_.make_directory(os.path.dirname(path))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        missing.pin(path)


def _missing(pins_: Pins, places: dict[str, str], maps: dict[str, bpf.Map]) -> dict[str, bpf.Map]:
    """Return the maps that are not in their places, by place. Raises PingKillerError if something else is there."""
    found = {path: maps.get(bpf.kernel_name(name)) for path, name in places.items()}
    return {path: map_ for path, map_ in found.items() if map_ and _id_in_place(pins_, path, map_.info) != map_.map_id}


def _id_in_place(pins_: Pins, path: str, info: bpf.MapInfo) -> int | None:
    return host_maps.map_id(pins_, path, info, any_size=os.path.basename(path) in schema.SIZED_MAPS)
