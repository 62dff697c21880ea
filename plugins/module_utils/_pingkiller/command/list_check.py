# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what a list file asks of its list, for ``pingkiller validate``."""

from __future__ import annotations

import io
import os
import sys

from ..entries import list_files
from ..entries.claims import Claim
from ..entries.list_lines import Reading
from ..entries.plan import make_plan
from ..entries.requested import RequestedEntries
from ..errors import PingKillerError
from ..kept.directory import Store
from ..kernel import schema
from ..lists import effects
from ..lists.demand import read_demand
from ..lists.request import ListRequest
from ..store import entry_list, limits
from ..store.pins import Pins
from . import host
from .output import Found


def check(request: ListRequest, config: str) -> Found:
    """Return what a list file has. Raises PingKillerError if the list could not take it, whatever else is on it.

    ``config`` is the directory of the wanted state, which says where the lists are.
    """
    demand = read_demand(request)
    added = make_plan([], demand).added
    kinds = dict.fromkeys(schema.KINDS, 0)
    for change in added:
        kinds[change.kind] += len(change.keys)
    count = sum(kinds.values())
    limits.check_capacity(request.name, count, _capacity(request.name, config))
    limits.check_prefix_lengths(request.name, limits.ipv6_lengths(added))
    warnings = [*demand.requested.notes, *effects.of_demand(request.name, demand)]
    return {"entries": count, "kinds": kinds, "skipped": demand.requested.skipped, "warnings": warnings}


def _capacity(name: str, config: str) -> int:
    """Return how many entries the list of this host has room for, or a list at most where there is none to be seen."""
    if os.geteuid() != 0:
        return limits.MAX_CAPACITY
    pins = Pins(host.base(Store(config)))
    if not pins.check_mount():
        return limits.MAX_CAPACITY
    with entry_list.opened_list(pins.in_use(), name) as entries:
        return limits.MAX_CAPACITY if entries is None else entries.capacity


def read_standard_input(reading: Reading) -> RequestedEntries:
    """Read a list file from standard input. Raises PingKillerError."""
    if sys.stdin is None:
        raise PingKillerError("standard input is closed: give a list on it, or the path of a list file")
    file = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="surrogateescape")
    usual = Claim(schema.DIRECTIONS["src"], schema.FOREVER)
    return list_files.parse_file(file, "standard input", usual, reading=reading, most=limits.MAX_CAPACITY)
