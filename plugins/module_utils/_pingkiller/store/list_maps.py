# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open the maps of one list."""

from __future__ import annotations

from ..errors import PingKillerError
from ..kernel import bpf, schema
from .comments import Comments
from .control import Control
from .host_maps import HostMaps
from .indexes import Indexes
from .owners import Owners
from .pins import Pins
from .records import Records
from .shared_claims import SharedClaims


class ListMaps:
    """The maps of one list of the host, opened. Close them after use, or use them as a context manager.

    Raises PingKillerError if one of them is missing.
    """

    def __init__(self, pins: Pins, name: str, host: HostMaps) -> None:
        self.name = name
        self.control = Control(host.control)
        maps = _open(pins, name, self.control.schema_version)
        self.table = maps.pop("records")  #: the map that ``records`` reads
        self.records = Records(self.table, schema.layouts(self.control.schema_version)["records"])
        self.indexes = Indexes(maps)
        self.known_owners = Owners(host.owners)
        self.shared_claims = SharedClaims(host.claims, name, self.known_owners)
        self.comments = Comments(pins, name, self.known_owners)

    def close(self) -> None:
        self.records.close()
        self.control.close()
        self.table.close()
        self.indexes.close()
        self.comments.close()

    @property
    def capacity(self) -> int:
        return self.records.capacity

    def slot_of(self, key: bytes) -> int | None:
        """Return the slot of the entry of exactly this address or network, or None if it is not on the list."""
        slot = self.indexes.find(key)
        is_there = slot is not None and slot < self.capacity and self.records.key(slot) == key
        return slot if is_there else None


def _open(pins: Pins, name: str, schema_number: int) -> dict[str, bpf.Map]:
    """Open the maps of a list by the name of their pin. The table's size is the capacity that the indexes must have."""
    with _required(pins, pins.list_pin(name, "records"), None) as records:
        capacity = records.info.max_entries
    expected = schema.of_schema(schema.list_maps(capacity), schema_number)
    return {map_name: _required(pins, pins.list_pin(name, map_name), info) for map_name, info in expected.items()}


def _required(pins: Pins, path: str, info: bpf.MapInfo | None) -> bpf.Map:
    found = pins.open_map(path, info)
    if not found:
        raise PingKillerError(f"{path} is missing: run xdp_filter with state=absent and set the filter up again")
    return found
