# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace all maps of a host: for lists of another capacity, or because an earlier version laid them out in another way.

The new maps are made beside the old ones. What a map holds is copied, field by field if its layout differs. What filters
count begins at zero in the new maps; the old counts are added once no program counts in the old maps. A map that stays as
it is gets a second pin.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from ..kernel import bpf, schema
from . import carry, host_maps, known_pins
from .entry_list import EntryList
from .pins import Pins


class _Place(NamedTuple):
    """Where a map is pinned, or will be."""

    pins: Pins
    path: str


def prepare(pins_: Pins, capacity: int) -> Pins:
    """Make maps of this version's schema, with all that the maps in use hold, beside them. Returns their pins."""
    new, number = pins_.new, host_maps.schema_number(pins_)
    new.remove_all()
    new.prepare()
    _settle_lists(pins_)
    for name in schema.HOST_PINS:
        old_place, new_place = (_Place(each, each.host_pin(name)) for each in (pins_, new))
        _bring(name, old_place, new_place, schema_number=number)
    for filter_name in pins_.filters():
        new.make_directory(new.filter_pin(filter_name))
        for name in schema.FILTER_PINS:
            old_place, new_place = (_Place(each, each.filter_pin(filter_name, name)) for each in (pins_, new))
            _bring(name, old_place, new_place, schema_number=number, prefix=schema.FILTER_PREFIX)
    host_maps.create(new, capacity)
    _copy_lists(pins_, new)
    return new


def _settle_lists(pins_: Pins) -> None:
    with host_maps.required(pins_) as host:
        for name in schema.LISTS:
            with EntryList(pins_, name, host) as entries:
                entries.settle()


def _copy_lists(old: Pins, new: Pins) -> None:
    with host_maps.required(old) as host, host_maps.required(new) as new_host:
        for name in schema.LISTS:
            with EntryList(old, name, host) as old_list, EntryList(new, name, new_host) as new_list:
                new_list.copy_from(old_list)


def _bring(name: str, old: _Place, new: _Place, *, schema_number: int, prefix: str = "") -> None:
    """Pin a map at its new place too, or make a new map there with what it holds. Skips a map that does not exist."""
    before, after = schema.layouts(schema_number).get(name), schema.LAYOUTS.get(name)
    found = old.pins.open_map(old.path)
    if found is None:
        return
    with found:
        # The control map has the number of its schema, so it is never shared with maps of another schema.
        is_shared = before is after and (name != "control" or schema_number == schema.SCHEMA_VERSION)
        if is_shared or before is None or after is None:
            found.pin(new.path)
            return
        with new.pins.ensure(new.path, found.info._replace(value_size=after.size), prefix) as made:
            if found.info.type != bpf.PERCPU_ARRAY:  # such a map holds counts only, which are added later
                fields = before.unpack(found.lookup(schema.ZERO) or bytes(before.size))
                made.update(schema.ZERO, after.pack(**{**fields, "schema_version": schema.SCHEMA_VERSION}))


def carry_counts(pins_: Pins) -> None:
    """Add what the old maps have counted to the maps in use. No program may count in the old maps any more."""
    old = pins_.old
    with host_maps.opened(pins_) as host, host_maps.opened(old) as old_host:
        if host and old_host:  # else somebody removed pins of the old maps, and the counts of their lists are lost
            for name in schema.LISTS:
                with EntryList(old, name, old_host) as old_list, EntryList(pins_, name, host) as new_list:
                    carry.carry_list(old_list, new_list)
    for filter_name in old.filters():
        for name in schema.COUNTED:
            _carry_filter_map(pins_, filter_name, name)


def _carry_filter_map(pins_: Pins, filter_name: str, name: str) -> None:
    old = pins_.old
    old_map, new_map = (each.open_map(each.filter_pin(filter_name, name)) for each in (old, pins_))
    with old_map or contextlib.nullcontext(), new_map or contextlib.nullcontext():
        if not (old_map and new_map) or old_map.map_id == new_map.map_id:
            return
        layout = schema.layouts(host_maps.schema_number(old))[name]
        with old.ensure(old.filter_pin(filter_name, known_pins.CARRIED), schema.CARRIED_MAP) as carried:
            carry.carry_filter_map(name, old_map, new_map, layout=layout, carried=carried)
