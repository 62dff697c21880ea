# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a change of a list and of what is kept of it. Planning only reads."""

from __future__ import annotations

from typing import NamedTuple

from ..entries.plan import Demand, Plan, gained_comments, make_plan, number_of_entries
from ..kept.edit import Edit
from ..kept.entries_request import EntriesRequest
from ..kept.entry_plan import plan_entries
from ..kept.filter_notes import HostNote
from ..kept.filter_plan import plan_host
from ..kernel import access
from ..store import entry_list, host_maps, limits, recovery
from ..store.entry_list import EntryList
from ..store.list_reader import MANY
from ..store.pins import Pins
from .demand import read_demand
from .request import ListRequest

_COMPARED, _COMPARED_EXACTLY = 4096, 131072  #: entries of a list whose indexes are compared with its records


class Difference(NamedTuple):
    """How a list differs from what a request asks for, in entries, and whether what is kept of it differs."""

    missing: int
    too_many: int
    otherwise: int  #: on the list, but with another comment, end or direction
    kept: bool


def difference(base: str, request: ListRequest) -> Difference:
    """Return what ``change.change_list`` would change. Raises PingKillerError as it does."""
    demand = read_demand(request)
    access.require_bpf()
    pins = Pins(base)
    pins.require_ours()
    kept = any(plan_kept(pins, request, EntriesRequest(request, demand.requested)))
    require_usable(pins.in_use(), request)
    with entry_list.opened_list(pins.in_use(), request.name) as entries:
        plan = predicted(entries, request, demand)
    changes = plan.added, plan.removed, plan.updated
    missing, too_many, otherwise = map(number_of_entries, changes)
    return Difference(missing, too_many, otherwise, kept)


def require_usable(pins: Pins, request: ListRequest) -> None:
    """Check that a run could change lists and not only predict it. Raises PingKillerError."""
    if not request.foreseen.filters:  # attaching a filter brings lists and filters together, and to this schema
        recovery.require_same_lists(pins)
        host_maps.require_present_schema(pins)


def predicted(entries: EntryList | None, request: ListRequest, demand: Demand) -> Plan:
    """Return the plan that a run would have. Raises PingKillerError if the list could not hold the entries."""
    if entries is None:
        plan = plan_for(None, demand)
        check_fits(request, plan, request.foreseen.capacity)
        return plan
    compare(entries, demand)
    plan = plan_for(entries, demand)
    entries.require_room(plan, request.foreseen.capacity)
    return plan


def plan_kept(pins: Pins, request: ListRequest, asked: EntriesRequest) -> list[Edit]:
    """Plan the changes of what is restored at boot."""
    if not request.store:
        return []
    edits: list[Edit] = [*plan_entries(request.store, asked)]
    if request.persist and any(edit.after for edit in edits) and not request.store.restores():
        edits.append(plan_host(request.store, HostNote(base=pins.base, max_entries=_capacity(pins, request.name))))
    return edits


def _capacity(pins: Pins, list_name: str) -> int:
    with entry_list.opened_list(pins.in_use(), list_name) as entries:
        return limits.DEFAULT_CAPACITY if entries is None else entries.capacity


def compare(entries: EntryList, demand: Demand) -> None:
    """Find damage in lists short enough that it takes some milliseconds; an exact sync reads all of its list anyway."""
    entries.compare(_COMPARED_EXACTLY if demand.exclusive else _COMPARED)


def plan_for(entries: EntryList | None, demand: Demand) -> Plan:
    """Plan what a demand changes of a list, which is None if there is none."""
    if entries is None:
        return make_plan([], demand)
    # Looking up many keys takes longer than reading all of the list.
    everything = demand.exclusive or len(demand.requested.keys) > MANY
    return make_plan(entries.held(None if everything else set(demand.requested.keys)), demand)


def check_fits(request: ListRequest, plan: Plan, capacity: int | None = None) -> None:
    """Check that a list that is not there yet can hold what a plan adds. Raises PingKillerError."""
    added = number_of_entries(plan.added)
    limits.check_capacity(request.name, added, capacity or limits.DEFAULT_CAPACITY)
    limits.check_prefix_lengths(request.name, set(limits.ipv6_lengths(plan.added)))
    limits.check_comments(gained_comments(plan))
