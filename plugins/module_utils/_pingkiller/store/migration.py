# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace all maps of a host: for lists of another capacity, or because an earlier version laid them out in another way.

The new ones are made beside those in use. What a map holds is copied, field by field where its layout differs; what filters
count in it begins at zero and is added once no program counts in the old one. A map that stays as it is gets a second pin.
"""

from __future__ import annotations

from ..kernel import bpf, schema
from . import carry, host_maps, pins
from .entry_list import EntryList
from .pins import Pins


def prepare(pins_: Pins, capacity: int) -> Pins:
    """Maps of this version's schema with all that those in use hold, beside them."""
    new, number = pins_.next, host_maps.schema_number(pins_)
    new.remove_all()
    new.prepare()
    with host_maps.opened(pins_) as host:
        for name in schema.LISTS:
            with EntryList(pins_, name, host) as entries:
                entries.settle()
    for name in schema.HOST_PINS:
        _bring(number, name, (pins_, pins_.host_pin(name)), (new, new.host_pin(name)))
    for filter_name in pins_.filters():
        new.make_directory(new.filter_pin(filter_name))
        for name in schema.FILTER_PINS:
            places = (pins_, pins_.filter_pin(filter_name, name)), (new, new.filter_pin(filter_name, name))
            _bring(number, name, *places, prefix=schema.FILTER_PREFIX)
    host_maps.create(new, capacity)
    with host_maps.opened(pins_) as host, host_maps.opened(new) as new_host:
        for name in schema.LISTS:
            with EntryList(pins_, name, host) as old_list, EntryList(new, name, new_host) as new_list:
                new_list.copy_from(old_list)
    return new


def _bring(number: int, name: str, place: tuple[Pins, str], new_place: tuple[Pins, str], prefix: str = "") -> None:
    """Let a map be at the new place, too, or what it holds in a new map there."""
    before, after = schema.layouts(number).get(name), schema.LAYOUTS.get(name)
    found = place[0].open(place[1])
    if found is None:
        return
    with found:
        # The control map says of which schema all of them are, so it is never that of another.
        if before is after and (name != "control" or number == schema.SCHEMA_VERSION):
            found.pin(new_place[1])
            return
        with new_place[0].ensure(new_place[1], found.info._replace(value_size=after.size), prefix) as new:
            if found.info.type != bpf.PERCPU_ARRAY:  # in which everything is counted
                fields = {**before.unpack(found.lookup(schema.ZERO)), "schema_version": schema.SCHEMA_VERSION}
                new.update(schema.ZERO, after.pack(**fields))


def carry_counts(pins_: Pins) -> None:
    """Add what the old maps have counted, in which no program counts any more."""
    old = pins_.old
    with host_maps.opened(pins_) as host, host_maps.opened(old) as old_host:
        # Whoever removed pins of the old ones has made away with their counts.
        for name in schema.LISTS if host and old_host else ():
            with EntryList(old, name, old_host) as old_list, EntryList(pins_, name, host) as new_list:
                carry.carry_list(old_list, new_list)
    layouts = schema.layouts(host_maps.schema_number(old))
    for filter_name in old.filters():
        for number, name in enumerate(schema.COUNTED):
            with pins.closing_all({}) as maps:
                for each in (old, pins_):
                    found = each.open(each.filter_pin(filter_name, name))
                    if found:
                        maps[each.base] = found
                if len({each.map_id for each in maps.values()}) == 2:
                    maps["carried"] = old.ensure(old.filter_pin(filter_name, pins.CARRIED), schema.CARRIED_MAP)
                    before, after = maps[old.base], maps[pins_.base]
                    carry.carry_filter_map(number, before, layouts[name], after, name, maps["carried"])
