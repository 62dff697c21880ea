# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps that a host has once: make them, open them, and tell their schema."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import PingKillerError
from ..kernel import bpf, schema
from .control import Control
from .paths import NEXT
from .pins import Pins


class HostMaps(NamedTuple):
    """The maps of ``schema.HOST_MAPS``, opened."""

    control: bpf.Map
    owners: bpf.Map
    claims: bpf.Map


def create(pins_: Pins, capacity: int) -> None:
    """Make the maps of the host that are missing. Lists that exist keep their capacity."""
    pins_.prepare()
    require_present_schema(pins_)
    with contextlib.ExitStack() as stack:
        maps = {
            name: stack.enter_context(pins_.ensure(pins_.host_pin(name), info))
            for name, info in schema.HOST_MAPS.items()
        }
        with contextlib.closing(Control(maps["control"])) as control:
            control.stamp()
    pins_.make_directory(pins_.host_pin("filters"))
    if not pins_.has_lists():
        create_lists(pins_, capacity)
        pins_.enter_lists()


def create_lists(pins_: Pins, capacity: int) -> None:
    """Make the maps of all lists, empty, as the next generation."""
    pins_.remove_lists(NEXT)
    for list_name in schema.LISTS:
        pins_.make_directory(pins_.list_pin(list_name, generation=NEXT))
        for name, info in schema.list_maps(capacity).items():
            path = pins_.list_pin(list_name, name, NEXT)
            pins_.ensure(path, info, prefix=schema.LIST_PREFIX[list_name]).close()


def schema_number(pins_: Pins) -> int:
    """Return the schema of the host's maps, or this version's if there are none.

    Raises PingKillerError if this version does not know the schema.
    """
    found = pins_.open_map(pins_.host_pin("control"))
    if found is None:
        return schema.SCHEMA_VERSION
    with found:
        number = _noted_schema(found) or schema.SCHEMA_VERSION
    if number > schema.SCHEMA_VERSION or number < min(schema.EARLIER):
        raise PingKillerError(
            f"the maps on this host have schema {number} and this version of the collection knows {min(schema.EARLIER)} to "
            f"{schema.SCHEMA_VERSION}: deploy with the version that made them or a later one, or remove the filter with "
            f"state=absent and set it up again"
        )
    return number


def _noted_schema(control: bpf.Map) -> int:
    """Return the schema that a control map says it has, or 0 if it says none or is not a control map of ours.

    Every schema has its number in the first 32 bits. The size of the value differs between schemas, so name and shape
    have to tell whether the map is ours.
    """
    declared = schema.HOST_MAPS["control"]
    if control.name != "control" or control.info._replace(value_size=declared.value_size) != declared:
        return 0
    return int.from_bytes((control.lookup(schema.ZERO) or bytes(4))[:4], sys.byteorder)


def require_present_schema(pins_: Pins) -> None:
    """Raise PingKillerError if an earlier version made the maps, since lists of its schema are not changed."""
    number = schema_number(pins_)
    if number != schema.SCHEMA_VERSION:
        raise PingKillerError(
            f"the maps on this host have schema {number} and this version of the collection changes schema "
            f"{schema.SCHEMA_VERSION}: run xdp_filter first, which moves what they hold to new ones while they filter"
        )


@contextlib.contextmanager
def opened(pins_: Pins) -> Iterator[HostMaps | None]:
    """Open the host's maps; None if some of them, or the lists, do not exist."""
    with contextlib.ExitStack() as stack:
        maps: dict[str, bpf.Map] = {}
        for name, info in schema.of_schema(schema.HOST_MAPS, schema_number(pins_)).items():
            found = pins_.open_map(pins_.host_pin(name), info)
            if not found:
                break
            maps[name] = stack.enter_context(found)
        is_whole = len(maps) == len(schema.HOST_MAPS) and pins_.has_lists()
        yield HostMaps(**maps) if is_whole else None


@contextlib.contextmanager
def required(pins_: Pins) -> Iterator[HostMaps]:
    """Open the host's maps. Raises PingKillerError if some of them, or the lists, do not exist."""
    with opened(pins_) as host:
        if host is None:
            raise PingKillerError(
                f"maps below {pins_.base} are missing: run xdp_filter with state=absent and set the filter up again"
            )
        yield host


def map_id(pins_: Pins, path: str, info: bpf.MapInfo | None = None, *, any_size: bool = False) -> int | None:
    """Return the id of the map pinned at a path, or None without a pin.

    Raises PingKillerError if the map does not have the declaration ``info``; with ``any_size``, apart from its size.
    """
    found = pins_.open_map(path, info, any_size=any_size)
    if found is None:
        return None
    with found:
        return found.map_id
