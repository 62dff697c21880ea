# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps that a host has once: make them, open them, and tell their schema."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ..errors import PingKillerError
from ..kernel import bpf, schema
from . import pins
from .control import Control
from .pins import Pins


def create(pins_: Pins, capacity: int) -> None:
    """Make whatever is missing of the host's maps. A host that has lists keeps them, with their capacity."""
    pins_.prepare()
    with pins.closing_all({}) as opened:
        require_present_schema(pins_)
        for name, info in schema.HOST_MAPS.items():
            opened[name] = pins_.ensure(pins_.host_pin(name), info)
        with contextlib.closing(Control(opened["control"])) as control:
            control.stamp()
    pins_.make_directory(pins_.host_pin("filters"))
    if not pins_.has_lists():
        create_lists(pins_, capacity)
        pins_.enter_lists()


def create_lists(pins_: Pins, capacity: int) -> None:
    """Make the maps of all lists, empty, as the next generation."""
    pins_.remove_lists(pins.NEXT)
    for list_name in schema.LISTS:
        pins_.make_directory(pins_.list_pin(list_name, generation=pins.NEXT))
        for name, info in schema.list_maps(capacity).items():
            path = pins_.list_pin(list_name, name, pins.NEXT)
            pins_.ensure(path, info, prefix=schema.LIST_PREFIX[list_name]).close()


def schema_number(pins_: Pins) -> int:
    """The schema of the maps, this version's where there are none. Raises PingKillerError if it is not known."""
    path = pins_.host_pin("control")
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
            found = pins_.open(pins_.host_pin(name), info)
            if not found:
                break
            maps[name] = found
        yield maps if len(maps) == len(schema.HOST_MAPS) and pins_.has_lists() else None


def map_id(pins_: Pins, path: str, info: bpf.MapInfo | None = None, any_size: bool = False) -> int | None:
    """The id of the map pinned at a path, None if there is none. Raises PingKillerError if it is not as ``info`` says."""
    found = pins_.open(path, info, any_size)
    if found is None:
        return None
    with found:
        return found.map_id
