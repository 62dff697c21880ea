# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Predict changes of filters. This only reads, and needs nothing of what compiles and attaches."""

from __future__ import annotations

from ..kernel import access
from ..store import filter_programs, recovery
from ..store.pins import Pins
from . import removal
from .interfaces import usable_links
from .notes import plan_notes, prediction_warnings
from .plan import ask, make_plan, own_names
from .request import FilterRequest, RemovalRequest
from .result import Result, result_of, with_kept


def present(base: str, request: FilterRequest) -> Result:
    """Return what ``change.present`` would return, and change nothing. Raises PingKillerError as it does."""
    access.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    links = usable_links(request)
    pins.require_ours()
    to_mend = recovery.unfinished(pins) or bool(recovery.reading_others(pins))
    used = pins.in_use()
    # Interfaces that were renamed concern only what is kept, and finding them means a look at every filter.
    own_name = own_names(used) if request.store else filter_programs.own_name
    plan = make_plan(used, request, ask(used, request, links), own_name=own_name)
    notes = plan_notes(used, request, plan) + prediction_warnings(plan.steps)
    result = result_of(plan, request, notes, after={})
    return with_kept({**result, "changed": result["changed"] or to_mend}, plan.kept, request.owner)


def absent(base: str, request: RemovalRequest) -> Result:
    """Return what ``remove.absent`` would return, and change nothing. Raises PingKillerError as it does."""
    access.require_bpf()
    pins, request = Pins(base), removal.with_own_names(request)
    there, kept = removal.is_there(pins), removal.plan_forgetting(request)
    if there:
        pins.require_ours()
    planned = removal.plan_removal(pins.in_use(), request.names)
    return with_kept(removal.result(planned, lists_go=request.everything and there), kept)
