# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of a host: its filters and lists as they are now. Reads only, compiles nothing and takes no lock."""

from __future__ import annotations

import os
from typing import Any

from .. import VERSION
from ..errors import PingKillerError, shortened
from ..kernel import access, schema
from ..store import host_maps
from ..store.pins import Pins
from . import filter_facts, list_facts


def collect(base: str, *, list_limit: int = 100, top: int = 10, dest: str | None = None) -> dict[str, Any]:
    """Return the facts, as RETURN of the module xdp_facts describes them. On a host without filters, they are empty.

    With ``dest``, a directory, each list is also written there as a file. Raises PingKillerError, also without root.
    """
    for name, number in (("list_limit", list_limit), ("top", top)):
        if number < 0:
            raise PingKillerError(f"{name}={shortened(str(number))} must not be negative: give 0 or more")
    access.require_root()
    pins = Pins(base)
    pins.check_mount()
    pins = pins.in_use()
    names = pins.filters()
    return {
        "schema": host_maps.schema_number(pins),
        "version": VERSION,
        "kernel": os.uname().release,
        "filters": {name: filter_facts.collect(pins, name, list_limit) for name in names},
        "notes": pins.warnings() + [note for name in names for note in filter_facts.notes(pins, name)],
        "lists": {name: list_facts.collect(pins, name, limit=list_limit, top=top, dest=dest) for name in schema.LISTS},
    }
