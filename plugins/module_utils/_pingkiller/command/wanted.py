# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the wanted state says of filters, for the subcommands that compare it with what the host has."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import PingKillerError
from ..kept import filter_notes, filter_owners
from ..kept.directory import Store
from ..store import filter_programs, hooks


class Noted(NamedTuple):
    """What the wanted state says."""

    filters: dict[str, dict[str, Any]]  #: the options of the filters that are restored at boot, by name
    owned: set[str]  #: the names of the filters that have an owner, restored at boot or not
    faults: list[str]  #: what is wrong with its files, as sentences


def noted(store: Store) -> Noted:
    """Read what is restored at boot and what is owned, as far as it can be read."""
    found = Noted(filters={}, owned=set(), faults=[])
    try:
        filter_notes.check_there(store)
    except PingKillerError as error:
        found.faults.append(str(error))
    try:
        found.owned.update(map(filter_programs.own_name, filter_owners.owners(store)))
    except PingKillerError as error:
        found.faults.append(str(error))
    for interface in store.names("filters"):
        try:
            own = filter_programs.own_name(interface)
            options = filter_notes.filters(store, interface)
            found.filters.update({hooks.filter_name(own, hook): each for hook, each in options.items()})
        except PingKillerError as error:
            found.faults.append(str(error))
    return found
