# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of a host: its filters and lists as they are now. Reads only, compiles nothing and takes no lock."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from .. import VERSION
from ..errors import PingKillerError, shortened
from ..kernel import access, schema
from ..store import host_maps
from ..store.pins import Pins
from . import filter_facts, list_facts

#: What can be gathered.
PARTS = (*filter_facts.PARTS, "lists")


def collect(
    base: str,
    *,
    gather: Collection[str] = PARTS,
    lists: Collection[str] = schema.LISTS,
    list_limit: int = 100,
    top: int = 10,
    dest: str | None = None,
) -> dict[str, Any]:
    """Return the facts, as RETURN of the module xdp_facts describes them. On a host without filters, they are empty.

    What ``gather`` does not name is neither read nor returned, nor are other lists than ``lists``. With ``dest``, a directory, each list that is gathered is
    also written there as a file. Raises PingKillerError, also without root.
    """
    for name, number in (("list_limit", list_limit), ("top", top)):
        if number < 0:
            raise PingKillerError(f"{name}={shortened(str(number))} must not be negative: give 0 or more")
    access.require_root()
    pins = Pins(base)
    pins.check_mount()
    pins = pins.in_use()
    found: dict[str, Any] = {
        "schema": host_maps.schema_number(pins),
        "version": VERSION,
        "kernel": os.uname().release,
    }
    names = pins.filters()
    if not set(filter_facts.PARTS).isdisjoint(gather):
        found["filters"] = {name: filter_facts.collect(pins, name, list_limit, gather) for name in names}
    if "filters" in gather:
        found["notes"] = pins.warnings() + [note for name in names for note in filter_facts.notes(pins, name)]
    if "lists" in gather:
        found["lists"] = {name: list_facts.collect(pins, name, limit=list_limit, top=top, dest=dest) for name in lists}
    return found
