# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the host and its filters: read and checked. ``filter_plan`` plans changes."""

from __future__ import annotations

import os
from typing import Any, TypedDict

from ..errors import PingKillerError
from ..kernel import schema
from ..store.limits import MAX_CAPACITY
from ..store.paths import DEFAULT_BASE
from ..store.pins import Pins
from .directory import HOST, Store
from .edit import is_number, read_checked

UNIT = "/etc/systemd/system/pingkiller.service"  #: the role writes it where filters are to be restored

#: The directories of the notes that say what is to be restored.
PLACES = (("filters",), *(("entries", name) for name in schema.LISTS))


class HostNote(TypedDict, total=False):
    """What is kept of the host. Empty where nothing is to be restored."""

    base: str  #: the directory of the pins
    max_entries: int | None  #: the capacity of each list


def check_there(store: Store) -> None:
    """Check that the wanted state is there. Raises PingKillerError if some or all of it seems to be lost."""
    noted = [store.path("/".join((*inside, name))) for inside in PLACES for name in store.names(*inside)]
    if noted and not store.restores():
        raise PingKillerError(
            f"{store.path(HOST)} is not there, although {noted[0]} is: the pins are taken to be in {DEFAULT_BASE}; "
            f"deploy again"
        )
    if os.path.lexists(UNIT) and store.is_empty():
        raise PingKillerError(
            f"{store.directory} is empty or not there, so nothing says what {UNIT} is to restore: mount it, name "
            f"the directory of the deployment with --config, or deploy again"
        )


def host(store: Store) -> HostNote:
    """Read what is kept of the host. Raises Broken, and PingKillerError as ``Store.read``."""
    return read_checked(store, HOST, _checked_host)


def filters(store: Store, interface: str) -> dict[str, dict[str, Any]]:
    """Read the options of an interface's filters by hook. Raises what ``host`` raises."""
    return read_checked(store, f"filters/{interface}", _checked_filters)


def _checked_host(about: dict[str, Any]) -> HostNote:
    base, capacity = about.get("base", DEFAULT_BASE), about.get("max_entries")
    try:
        Pins(base)
    except (TypeError, PingKillerError):
        raise ValueError(f"base={base}") from None
    if capacity is not None and not (is_number(capacity) and 0 < capacity <= MAX_CAPACITY):
        raise ValueError(f"max_entries={capacity}")
    note: HostNote = {}
    if "base" in about:
        note["base"] = about["base"]
    if "max_entries" in about:
        note["max_entries"] = about["max_entries"]
    return note


def _checked_filters(by_hook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for hook, options in by_hook.items():
        if hook not in schema.HOOKS or not isinstance(options, dict):
            raise ValueError(f"{hook}: {options}")
    return by_hook
