# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a list as a front end asks for it: read the list, plan, and apply the plan unless it is only predicted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ..entries.plan import Demand, joined, make_plan, number_of_entries
from ..errors import PingKillerError
from ..kept.edit import write_all
from ..kept.entries_request import EntriesRequest
from ..kernel import access
from ..store import entry_list, host_maps, limits, lost_pins, recovery
from ..store.lock import check_timeout, host_lock
from ..store.pins import Pins
from .demand import read_demand
from .effects import PlannedChange, foresee
from .planning import check_fits, compare, plan_for, plan_kept, predicted, require_usable
from .predicted_list import PredictedList
from .request import Foreseen, ListRequest
from .result import Outcome, result_of, with_kept


def change_list(base: str, request: ListRequest, *, check: bool = False, lock_timeout: float = 30.0) -> dict[str, Any]:
    """Bring a list to what the request says, and return the module's result.

    With ``check`` only predict it. ``lock_timeout`` is in seconds. Raises PingKillerError with nothing changed, or with what
    ``write_all`` says.
    """
    check_timeout(lock_timeout)
    demand = read_demand(request)
    access.require_bpf()
    pins = Pins(base)
    mounted = pins.check_mount()
    asked = EntriesRequest(request, demand.requested)
    present = (mounted and pins.in_use().exists()) or lost_pins.any_lost(pins)
    if check and (present or not request.absent):  # the run requires the same
        pins.require_ours()
    if check:
        return _prediction(pins, request, demand, asked=asked)
    if request.absent and not present and not any(plan_kept(pins, request, asked)):
        # There is nothing to change, so the prediction is the result. What earlier tasks predicted does not count.
        return _prediction(pins, request._replace(foreseen=Foreseen()), demand, asked=asked)
    with host_lock(lock_timeout):
        edits = plan_kept(pins, request, asked)
        (outcome,) = _change(pins, [(request, demand)])
        result = with_kept(result_of(request, demand, outcome), edits)
        write_all(edits)
        return result


def change_together(base: str, requests: Sequence[ListRequest], *, lock_timeout: float = 30.0) -> list[Outcome]:
    """Bring one list to what several requests say, in one change. No entry may be in two of them.

    ``lock_timeout`` is in seconds. Raises PingKillerError as ``change_list``.
    """
    check_timeout(lock_timeout)
    demands = list(map(read_demand, requests))
    access.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    asked = [EntriesRequest(request, demand.requested) for request, demand in zip(requests, demands)]
    # Planned one after another, since all may be about one note; the first before anything is changed, as it may be refused.
    planned = (plan_kept(pins, request, entries) for request, entries in zip(requests, asked))
    with host_lock(lock_timeout):
        first = next(planned, [])
        outcomes = _change(pins, list(zip(requests, demands)))
        write_all(chain(first, chain.from_iterable(planned)))
        return outcomes


def _prediction(pins: Pins, request: ListRequest, demand: Demand, *, asked: EntriesRequest) -> dict[str, Any]:
    """Return the result that a change would have, and change nothing."""
    outcome = _predict(pins, request, demand)
    return with_kept(result_of(request, demand, outcome), plan_kept(pins, request, asked))


def _change(pins: Pins, asked: list[tuple[ListRequest, Demand]]) -> list[Outcome]:
    """Change the maps of a list as requests say whose demands these are, under the lock."""
    name = asked[0][0].name
    mended = recovery.settle(pins)
    recovery.require_same_lists(pins)
    host_maps.require_present_schema(pins)
    for request, demand in asked:
        if not request.absent:
            _check_before_creating(pins, request, demand)
            host_maps.create(pins, limits.DEFAULT_CAPACITY)
    with entry_list.opened_list(pins, name) as entries:
        if entries is None:
            return [Outcome(plan=plan_for(None, demand), total=0, warnings=[]) for _request, demand in asked]
        for _request, demand in asked:
            compare(entries, demand)
        entries.settle()
        changes = [
            PlannedChange(name, demand, plan=plan_for(entries, demand), entries=entries) for _request, demand in asked
        ]
        warnings = [foresee(pins, change) for change in changes]
        whole = joined([change.plan for change in changes])
        if whole:
            entries.apply(whole)
        return [
            Outcome(change.plan, total=entries.count, warnings=mended + said, mended=bool(mended))
            for change, said in zip(changes, warnings)
        ]


def _predict(pins: Pins, request: ListRequest, demand: Demand) -> Outcome:
    pins, foreseen = pins.in_use(), request.foreseen
    require_usable(pins, request)
    with entry_list.opened_list(pins, request.name) as entries:
        plan = predicted(entries, request, demand)
        planned = PlannedChange(
            name=request.name,
            demand=demand,
            plan=plan,
            entries=entries,
            foreseen=foreseen,
            allowlist=_foreseen_allowlist(pins, foreseen.allowlist),
        )
        count = 0 if entries is None else entries.count
        count += number_of_entries(plan.added) - number_of_entries(plan.removed)
        return Outcome(plan=plan, total=count, warnings=foresee(pins, planned))


def _foreseen_allowlist(pins: Pins, request: ListRequest | None) -> PredictedList | None:
    """Return the allowlist as this request for it will have changed it, or None if it changes nothing."""
    if request is None:
        return None
    try:
        demand = read_demand(request)
    except PingKillerError as error:
        raise PingKillerError(f"in foreseen.allowlist, {error}") from None
    with entry_list.opened_list(pins, request.name) as entries:
        plan = plan_for(entries, demand)
        held = entries.held() if entries is not None and plan else []
    return PredictedList(request.name, held, plan) if plan else None


def _check_before_creating(pins: Pins, request: ListRequest, demand: Demand) -> None:
    """Refuse a change on a host without maps before any are made."""
    if not pins.exists():
        check_fits(request, make_plan([], demand))
