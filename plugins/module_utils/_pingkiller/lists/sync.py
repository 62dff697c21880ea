# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a list as a front end asks for it: read what is, plan, and apply unless it is only to be predicted."""

from __future__ import annotations

from ..entries import claims
from ..entries.claims import Demand, Plan
from ..errors import PingKillerError
from ..kept.edit import Edit
from ..kept.entry_plan import Asked, plan_entries
from ..kept.filter_notes import plan_host
from ..kernel import access
from ..store import entry_list, host_maps, limits, lost_pins, recovery
from ..store.lock import check_timeout, host_lock
from ..store.pins import Pins
from . import effects
from .foreseen import Foreseen, ListToCome
from .request import ListRequest, read_demand
from .result import result_of, with_kept

_COMPARED, _COMPARED_EXACTLY = 4096, 131072  #: entries of a list whose indexes are compared with its records


def change(base: str, request: ListRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Bring a list to what the request says; the module's result. Raises PingKillerError with nothing changed."""
    check_timeout(lock_timeout)
    demand = read_demand(request)
    access.require_bpf()
    pins = Pins(base)
    mounted = pins.check_mount()
    asked = Asked(request, demand.wishes)
    there = (mounted and pins.in_use().exists()) or lost_pins.any_lost(pins)
    if check and (there or not request.absent):  # as the run then does
        pins.require_ours()
    if check or (request.absent and not there):
        kept = _plan_kept(pins, request, asked)
        if check or not any(kept):
            foreseen = request.foreseen if check else Foreseen()
            return with_kept(result_of(request, demand, *_predict(pins, request, demand, foreseen)), kept)
    with host_lock(lock_timeout):
        kept = _plan_kept(pins, request, asked)
        result = with_kept(_change(pins, request, demand), kept)
        for edit in kept:
            edit.write()
        return result


def _change(pins: Pins, request: ListRequest, demand: Demand) -> dict:
    """The same under the lock, but for what is restored at boot."""
    mended = recovery.settle(pins)
    recovery.require_same_lists(pins)
    host_maps.require_present_schema(pins)
    if not request.absent:
        _check_before_creating(pins, request, demand)
        host_maps.create(pins, limits.DEFAULT_CAPACITY)
    with entry_list.opened_list(pins, request.name) as entries:
        if entries is None:
            return result_of(request, demand, _plan(None, demand), 0, [])
        _compare(entries, demand)
        entries.settle()
        plan = _plan(entries, demand)
        warnings = effects.foresee(pins, request.name, demand, plan, entries)
        if plan:
            entries.apply(plan)
        result = result_of(request, demand, plan, entries.count, mended + warnings)
        return {**result, "changed": result["changed"] or bool(mended)}


def _plan_kept(pins: Pins, request: ListRequest, asked: Asked) -> list[Edit]:
    if not request.store:
        return []
    edits = plan_entries(request.store, asked)
    if request.persist and any(edit.after for edit in edits) and not request.store.restores():
        edits.append(plan_host(request.store, {"base": pins.base, "max_entries": _capacity(pins, request.name)}))
    return edits


def _capacity(pins: Pins, name: str) -> int:
    with entry_list.opened_list(pins.in_use(), name) as entries:
        return limits.DEFAULT_CAPACITY if entries is None else entries.capacity


def _predict(pins: Pins, request: ListRequest, demand: Demand, foreseen: Foreseen) -> tuple:
    pins = pins.in_use()
    if not foreseen.filters:  # what attaches a filter brings lists and filters together, and to this schema
        recovery.require_same_lists(pins)
        host_maps.require_present_schema(pins)
    with entry_list.opened_list(pins, request.name) as entries:
        if entries is not None:
            _compare(entries, demand)
        plan = _plan(entries, demand)
        if entries is not None:
            entries.check(plan, foreseen.capacity)
            count = entries.count
        else:
            _check_fits(request, plan, foreseen.capacity)
            count = 0
        count += claims.count(plan.added) - claims.count(plan.removed)
        allowlist = _to_come(pins, foreseen.allowlist)
        return plan, count, effects.foresee(pins, request.name, demand, plan, entries, foreseen, allowlist)


def _to_come(pins: Pins, request: ListRequest | None) -> ListToCome | None:
    """The list that a request will have changed by then; None where it changes nothing."""
    if request is None:
        return None
    try:
        demand = read_demand(request)
    except PingKillerError as error:
        raise PingKillerError(f"in foreseen.allowlist, {error}") from None
    with entry_list.opened_list(pins, request.name) as entries:
        plan = _plan(entries, demand)
        held = entries.held() if entries is not None and plan else []
    return ListToCome(request.name, held, plan) if plan else None


def _compare(entries: entry_list.EntryList, demand: Demand) -> None:
    """Find damage in lists of which that takes some milliseconds; an exact list is read whole in any case."""
    entries.compare(_COMPARED_EXACTLY if demand.exclusive else _COMPARED)


def _plan(entries: entry_list.EntryList | None, demand: Demand) -> Plan:
    if entries is None:
        return claims.make_plan([], demand)
    # To look many up takes longer than to read all.
    everything = demand.exclusive or len(demand.wishes.keys) > effects.MANY
    return claims.make_plan(entries.held(None if everything else set(demand.wishes.keys)), demand)


def _check_before_creating(pins: Pins, request: ListRequest, demand: Demand) -> None:
    """Refuse on a host without state before any is made."""
    if not pins.exists():
        _check_fits(request, claims.make_plan([], demand))


def _check_fits(request: ListRequest, plan: Plan, capacity: int | None = None) -> None:
    limits.check_capacity(request.name, claims.count(plan.added), capacity or limits.DEFAULT_CAPACITY)
    limits.check_prefix_lengths(request.name, set(limits.ipv6_lengths(plan.added)))
