# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes before every change, under the lock: put right what a killed run, or somebody else, has left.

Nothing here touches what filters. A program keeps its maps alive, also those that only user space reads, since they were
bound to it; so the pins of a filter that runs can always be made again, whoever removed them.
"""

from __future__ import annotations

import json
import os

from . import bpf, compiler, hooks, migration, netlink, pins, schema, state
from .errors import PingKillerError
from .pins import Pins


def settle(pins_: Pins, names: tuple[str, ...] | None = None) -> list[str]:
    """Make the pins agree with what runs; what was put right and a user should know of, as sentences.

    ``names`` are the filters that a run is about, none given: all of them; None: those of a host that has no pins at all.
    """
    compiler.remove_abandoned_headers()
    settle_maps(pins_)
    notes = _restore(pins_, names)
    if pins_.exists():
        notes += _follow_renamed(pins_)
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
    found = (each for name in names for each in state.programs(pins_, name))
    return any(state.reads_lists(read, each.info) for each in found)


def _follow_renamed(pins_: Pins) -> list[str]:
    """Give the pins of a filter whose interface was renamed the name that it has now."""
    notes = []
    for name in pins_.filters():
        new = None if state.running(pins_, name) else _found_elsewhere(pins_, name)
        if new:
            pins_.rename_filter(name, new)
            notes.append(f"the interface of the filter {name} was renamed: it is {new} now, with the counters it had")
    return notes


def _found_elsewhere(pins_: Pins, name: str) -> str | None:
    """The name of the filter whose program counts in the counters of another one."""
    counters = pins_.open(pins_.filter(name, "counters"))
    if counters is None:
        return None
    hook = hooks.split_name(name)[1]
    with counters:
        for link in netlink.links():
            for attached in hooks.programs(link, hook):
                info = state.program_info(attached.program_id)
                if info and counters.id in info.map_ids:
                    return hooks.filter_name(link.name, hook)
    return None


# Pins that are gone

_BOUND = ("owners", "claims")  #: maps of the host that no program reads


def bind(pins_: Pins, name: str, fd: int) -> None:
    """Let a program of a filter hold the maps that only user space reads."""
    paths = [*(pins_.host(each) for each in _BOUND), pins_.filter(name, "meta")]
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
        for name in (hooks.filter_name(link.name, hook) for hook in hooks.HOOKS):
            if (not names or name in names) and _restore_one(pins_, link, name):
                notes.append(
                    f"the pins of the filter on {name} were gone, and were made again from the program that runs"
                )
    return notes


def any_lost(pins_: Pins) -> bool:
    """Whether any filter of this base runs whose pins are gone."""
    return any(
        lost(pins_, link, hooks.filter_name(link.name, hook)) for link in netlink.links() for hook in hooks.HOOKS
    )


def lost(pins_: Pins, link: netlink.Link, name: str) -> hooks.Attached | None:
    """The program of a filter of this base whose pins are gone."""
    if os.path.isdir(pins_.filter(name)):
        return None
    for attached in hooks.programs(link, hooks.split_name(name)[1]):
        with pins.closing_all(_maps_of(attached.program_id)) as maps:
            if _is_ours(pins_, maps):
                return attached
    return None


def _maps_of(program_id: int) -> dict[str, bpf.Map]:
    """The maps of a program called as ours are, by name."""
    info = state.program_info(program_id)
    if not info or info.name != compiler.FUNCTION:
        return {}
    found = [bpf.Map.from_id(identity) for identity in info.map_ids]
    return {each.name: each for each in found}


def _is_ours(pins_: Pins, maps: dict[str, bpf.Map]) -> bool:
    """Whether these are the maps of a filter of this base, all that it takes to make the pins again."""
    meta = maps.get(bpf.kernel_name("filter_meta"))
    if not meta or not all(bpf.kernel_name(name) in maps for name in _BOUND):
        return False
    text = (meta.lookup(schema.ZERO) or b"").rstrip(b"\0")
    try:
        return json.loads(text)["base"] == pins_.base
    except (ValueError, KeyError):
        return False


def _restore_one(pins_: Pins, link: netlink.Link, name: str) -> bool:
    attached = lost(pins_, link, name)
    if not attached:
        return False
    with pins.closing_all(_maps_of(attached.program_id)) as maps:
        host = {pins_.host(each): each for each in schema.HOST_PINS}
        lists = {
            pins_.list(list_name, each, pins.NEXT): state.LIST_PREFIX[list_name] + each
            for list_name in schema.LISTS
            for each in schema.list_maps(0)
        }
        own = {pins_.filter(name, each): "filter_" + each for each in schema.FILTER_PINS}
        pins_.prepare()
        _pin_missing(pins_, host, maps)
        if not pins_.has_lists():
            pins_.remove_lists(pins.NEXT)
            _pin_missing(pins_, lists, maps)
            pins_.enter_lists()
        _pin_missing(pins_, own, maps)
    return True


def _pin_missing(pins_: Pins, places: dict[str, str], maps: dict[str, bpf.Map]) -> None:
    for path, map_name in places.items():
        found = maps.get(bpf.kernel_name(map_name))
        if found and not os.path.lexists(path):
            pins_.make_directory(os.path.dirname(path))
            found.pin(path)
