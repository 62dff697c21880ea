# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory wants of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import PingKillerError
from ..filters.request import FilterRequest
from ..kept import filter_owners
from ..kept.directory import Store
from ..kernel import routes
from ..store import filter_programs, hooks

OWNER = "inventory"  #: of the role's filters and entries
_NOWHERE = ("default-routes",)  #: in place of the interfaces of the default routes where there are none


class WantedFilter(NamedTuple):
    """A filter that the inventory wants. Options are empty if they are not known."""

    options: dict[str, Any]


class Wanted(NamedTuple):
    """What the inventory wants of a host, and the files that are there."""

    store: Store
    found: Mapping[str, str]  #: the marks of the files on the host: see ``marks``
    present: bool = True  #: else nothing
    requests: tuple[FilterRequest, ...] = ()
    refusal: str = ""  #: why a deploy would be refused
    manage_packages: bool = True  #: whether a deploy installs BCC where it is missing
    persist: bool = True  #: whether filters and lists are to be restored at boot
    list_hashes: Mapping[str, str] = {}  #: SHA-256 of the files that a deploy writes, of lists that are looked at
    marks: Mapping[str, str] = {}  #: of the other files that a deploy writes

    def filters(self) -> dict[str, WantedFilter]:
        """Return the wanted filters by name. If a deploy would be refused, these are those of the last one."""
        if not self.present:
            return {}
        if self.refusal:
            return {name: WantedFilter({}) for name in self._owned()}
        return {name: WantedFilter(each.options) for each in self.requests for name in names(each)}

    def _owned(self) -> list[str]:
        try:
            owners = filter_owners.owners(self.store)
        except PingKillerError:
            return []
        return [filter_programs.own_name(name) for name, owner in owners.items() if owner == OWNER]


def names(request: FilterRequest) -> list[str]:
    """Return the names of the filters of a request. An interface need not exist."""
    interfaces = routes.default_interfaces() if request.interfaces is None else request.interfaces
    named = (hooks.filter_name(each, request.hook) for each in interfaces or _NOWHERE)
    return list(dict.fromkeys(map(filter_programs.own_name, named)))
