# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a removal of filters, or of everything that PingKiller has made on a host. Planning only reads."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..kept import filter_plan
from ..kept.edit import Edit
from ..kept.filter_owners import plan_owner
from ..store import filter_meta, filter_programs, lost_pins
from ..store.pins import Pins
from .plan import to_forget
from .request import RemovalRequest
from .result import Result


def with_own_names(request: RemovalRequest) -> RemovalRequest:
    """Return a request that names interfaces by their own names."""
    if request.names is None:
        return request
    return request._replace(names=tuple(dict.fromkeys(map(filter_programs.own_name, request.names))))


def is_there(pins: Pins) -> bool:
    """Return whether there is anything to remove from the kernel. Raises PingKillerError."""
    return (pins.check_mount() and pins.in_use().exists()) or lost_pins.any_lost(pins)


class Removal(NamedTuple):
    """The plan for the filters concerned."""

    before: dict[str, dict[str, Any]]  #: their options, if known
    going_on: dict[str, list[str]]  #: warnings about filters that cannot be removed from here
    removed: list[str]  #: filters that can be removed from here, at least in part


def plan_removal(pins: Pins, names: tuple[str, ...] | None) -> Removal:
    """Plan to remove filters, or all filters if no names are given."""
    concerned = [name for name in pins.filters() if names is None or name in names]
    before = {name: filter_meta.read(pins, name).options for name in concerned}
    notes = {name: filter_programs.goes_on_notes(pins, name) for name in concerned}
    going_on = {name: said for name, said in notes.items() if said}
    return Removal(before, going_on, [n for n in concerned if n not in going_on or filter_programs.running(pins, n)])


def plan_forgetting(request: RemovalRequest) -> list[Edit]:
    """Plan what changes of what is kept. Raises PingKillerError."""
    store, names = request.store, request.names
    if store is None:
        return []
    if names is None:
        return [edit for edit in filter_plan.plan_forgetting(store) if edit]
    edits = filter_plan.plan_filters(store, {}, to_forget(store, names))
    if names and request.owner:
        edits.append(plan_owner(store, names, owner=request.owner, own_name=filter_programs.own_name, absent=True))
    return [edit for edit in edits if edit]


def result(removal: Removal, *, lists_go: bool) -> Result:
    """Return the result of a removal, with which the lists go as well or do not."""
    stay = {name: options for name, options in removal.before.items() if name not in removal.removed}
    diff: dict[str, dict[str, Any]] = {"before": {"filters": removal.before}, "after": {"filters": stay}}
    if lists_go:
        diff["before"]["lists"], diff["after"]["lists"] = "present", "absent"
    return {
        "changed": bool(removal.removed) or lists_go,
        "filters": {},
        "removed": sorted(removal.removed),
        "diff": diff,
        "warnings": [note for notes in removal.going_on.values() for note in notes],
    }
