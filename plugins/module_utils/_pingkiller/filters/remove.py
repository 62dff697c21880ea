# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove filters, or everything that PingKiller has made on a host."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..kept.edit import Edit
from ..kept.filter_owners import plan_owner
from ..kept.filter_plan import plan_filters, plan_forgetting
from ..kernel import access, compiler
from ..store import filter_meta, filter_programs, hooks, lost_pins, recovery
from ..store.lock import check_timeout, host_lock
from ..store.pins import Pins
from .clsact import remove_clsact
from .plan import to_forget
from .request import RemovalRequest
from .result import Result, with_kept


def absent(base: str, request: RemovalRequest, *, check: bool = False, lock_timeout: float = 30.0) -> Result:
    """Remove filters, or everything: all filters, both lists and all pins. Raises PingKillerError.

    Removed filters are not restored at boot. ``owner`` no longer wants them. If another owner wants them, that stays
    noted, so they are reported as missing. A filter that this run cannot reach keeps running. It keeps its pins, which
    identify it, unless everything is removed.
    """
    check_timeout(lock_timeout)
    access.require_bpf()
    pins = Pins(base)
    if request.names is not None:
        request = request._replace(names=tuple(dict.fromkeys(map(filter_programs.own_name, request.names))))
    there = (pins.check_mount() and pins.in_use().exists()) or lost_pins.any_lost(pins)
    kept = _plan_forgetting(request)
    if check and there:
        pins.require_ours()
    if check or not (there or kept):
        removal = _plan_removal(pins.in_use(), request.names)
        return with_kept(_removal_result(removal, lists_go=request.everything and there), kept)
    with host_lock(lock_timeout):
        # First, because it refuses what is not ours, before anything has changed.
        recovery.settle(pins, request.names or ())
        removal = _plan_removal(pins, request.names)
        # Before any filter is removed, so that no boot restores the filters of an interrupted removal.
        kept = _plan_forgetting(request)
        for edit in kept:
            edit.write()
        compiler.remove_abandoned_headers()
        for name in removal.before:
            _detach(pins, name)
            if name not in removal.going_on:
                pins.remove_filter(name)
        recovery.settle_maps(pins)  # the last filter that used the old maps may be gone now
        if request.everything:
            pins.remove_all()
        return with_kept(_removal_result(removal, lists_go=request.everything and there), kept)


class Removal(NamedTuple):
    """The plan for the filters concerned."""

    before: dict[str, dict[str, Any]]  #: their options, if known
    going_on: dict[str, list[str]]  #: warnings about filters that cannot be removed from here
    removed: list[str]  #: filters that can be removed from here, at least in part


def _plan_removal(pins: Pins, names: tuple[str, ...] | None) -> Removal:
    concerned = [name for name in pins.filters() if names is None or name in names]
    before = {name: filter_meta.read(pins, name).options for name in concerned}
    notes = {name: filter_programs.goes_on_notes(pins, name) for name in concerned}
    going_on = {name: said for name, said in notes.items() if said}
    return Removal(before, going_on, [n for n in concerned if n not in going_on or filter_programs.running(pins, n)])


def _plan_forgetting(request: RemovalRequest) -> list[Edit]:
    store, names = request.store, request.names
    if store is None:
        return []
    edits = plan_forgetting(store) if names is None else plan_filters(store, {}, to_forget(store, names))
    if names and request.owner:
        edits.append(plan_owner(store, names, owner=request.owner, own_name=filter_programs.own_name, absent=True))
    return [edit for edit in edits if edit]


def _detach(pins: Pins, name: str) -> None:
    for found in list(filter_programs.programs(pins, name)):
        hooks.detach(found.link, found.attached)
    remove_clsact(pins, name)


def _removal_result(removal: Removal, *, lists_go: bool) -> Result:
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
