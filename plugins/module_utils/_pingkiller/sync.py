# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a list as a front end asks for it: read what is, plan, and apply unless it is only to be predicted."""

from __future__ import annotations

import heapq
import io
import os
from typing import NamedTuple

from . import addresses, claims, durations, lists, recovery, schema, state
from .addresses import Wanted, Wishes
from .claims import Change, Demand, Plan
from .errors import PingKillerError
from .lock import check_timeout, host_lock
from .pins import Pins
from .wanted import Edit, Store, describe_entries, plan_entries

_MANY = 1000  #: entries
MAX_SHOWN = 1000  #: entries named in a result or a diff; the counts are always exact


class ListRequest(NamedTuple):
    """What a user asks of a list. One of ``ip``, ``src``, ``content`` is set; ``src`` with ``content`` is a file to come."""

    name: str
    ip: list[str] | None = None
    src: str | None = None
    content: str | None = None
    absent: bool = False
    exclusive: bool = False
    owner: str = "adhoc"
    direction: str = "src"
    ttl: str | None = None
    from_owner: str | None = None
    persist: bool | None = None  #: None: where the host restores its filters
    store: Store | None = None  #: None: what is restored at boot is left alone


def read_demand(request: ListRequest) -> Demand:
    """What is asked for. Raises PingKillerError before anything on the host is looked at."""
    if request.exclusive and request.absent:
        raise PingKillerError(
            "exclusive=true and state=absent contradict each other: use exclusive with state=present only"
        )
    _check_owner("owner", request.owner)
    _check_handover(request)
    return Demand(_read_wishes(request), request.owner, request.absent, request.exclusive, request.from_owner)


def _read_wishes(request: ListRequest) -> Wishes:
    until = schema.FOREVER if request.ttl is None else durations.until(durations.checked("ttl", request.ttl))
    wanted = Wanted(schema.DIRECTIONS[request.direction], until)
    if request.content is not None:
        return addresses.parse_file(io.StringIO(request.content, newline=None), "content", wanted)
    if request.src is not None:
        return _read_file(request.src, wanted)
    texts = [text.strip() for text in request.ip or []]
    return addresses.parse_all(texts, wanted)


def _check_owner(option: str, owner: str) -> None:
    allowed = owner.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum()) or len(owner) >= schema.OWNER_SIZE:
        raise PingKillerError(
            f"{option}={owner!r} is no name for an owner: use up to {schema.OWNER_SIZE - 1} letters, digits, dots, dashes, underscores"
        )


def _check_handover(request: ListRequest) -> None:
    if request.from_owner is None:
        return
    _check_owner("from_owner", request.from_owner)
    if request.absent:
        raise PingKillerError(
            "from_owner and state=absent contradict each other: to take back what an owner wants, name it with owner"
        )
    if request.from_owner == request.owner:
        raise PingKillerError(
            f"from_owner={request.from_owner!r} is the owner itself: name the one who has the entries now, or leave it out"
        )


def _read_file(path: str, wanted: Wanted) -> Wishes:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            before = _version_of(file)
            wishes = addresses.parse_file(file, path, wanted)
            changed = _version_of(file) != before
    except OSError as error:
        raise PingKillerError(
            f"src={path!r} cannot be read on the managed host ({error.strerror}): give the path of a list file there"
        ) from None
    if changed:  # half a list would remove the other half
        raise PingKillerError(f"src={path!r} was written to while it was read: nothing was changed; run again")
    return wishes


def _version_of(file) -> tuple:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def change(base: str, request: ListRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Bring a list to what the request says; the module's result. Raises PingKillerError with nothing changed."""
    check_timeout(lock_timeout)
    demand = read_demand(request)
    state.require_bpf()
    pins = Pins(base)
    mounted = pins.check_mount()
    kept = _plan_kept(request, demand)
    if check or (request.absent and not any(kept) and not (mounted and pins.in_use().exists())):
        return _with_kept(_result(request, *_predict(pins, request, demand)), kept)
    with host_lock(lock_timeout):
        kept = _plan_kept(request, demand)
        result = _change(pins, request, demand)
        for edit in kept:
            edit.write()
        return _with_kept(result, kept)


def _change(pins: Pins, request: ListRequest, demand: Demand) -> dict:
    """The same under the lock, but for what is restored at boot."""
    mended = recovery.settle(pins)
    state.require_present_schema(pins)
    if not request.absent:
        _check_before_creating(pins, request, demand)
        state.create(pins, lists.DEFAULT_CAPACITY)
    with state.opened_list(pins, request.name) as entries:
        if entries is None:
            return _result(request, _plan(None, demand), 0, [])
        entries.settle()
        plan = _plan(entries, demand)
        if plan:
            entries.apply(plan)
        result = _result(request, plan, entries.count, mended + ([] if request.absent else _warnings(pins)))
        return {**result, "changed": result["changed"] or bool(mended)}


def _plan_kept(request: ListRequest, demand: Demand) -> list[Edit]:
    return plan_entries(request.store, request, demand.wishes) if request.store else []


def _with_kept(result: dict, kept: list[Edit]) -> dict:
    """The result with what changes of what is restored at boot."""
    if any(kept):
        result["changed"] = True
        for when in ("before", "after"):
            result["diff"][when] += "".join(describe_entries(edit, when) for edit in kept)
    return result


def _predict(pins: Pins, request: ListRequest, demand: Demand) -> tuple:
    pins = pins.in_use()
    state.require_present_schema(pins)
    with state.opened_list(pins, request.name) as entries:
        plan = _plan(entries, demand)
        if entries is not None:
            entries.check(plan)
            count = entries.count
        else:
            _check_fits(request, plan)
            count = 0
        count += claims.count(plan.added) - claims.count(plan.removed)
        return plan, count, [] if request.absent else _warnings(pins)


def _plan(entries: lists.EntryList | None, demand: Demand) -> Plan:
    if entries is None:
        return claims.make_plan([], demand)
    # To look many up takes longer than to read all.
    everything = demand.exclusive or len(demand.wishes.keys) > _MANY
    return claims.make_plan(entries.held(None if everything else set(demand.wishes.keys)), demand)


def _check_before_creating(pins: Pins, request: ListRequest, demand: Demand) -> None:
    """Refuse on a host without state before any is made."""
    if not pins.exists():
        _check_fits(request, claims.make_plan([], demand))


def _check_fits(request: ListRequest, plan: Plan) -> None:
    lists.check_capacity(request.name, claims.count(plan.added), lists.DEFAULT_CAPACITY)
    lists.check_prefix_lengths(request.name, set(lists.ipv6_lengths(plan.added)))


def _warnings(pins: Pins) -> list[str]:
    """What a user would want to know who believes that this is now blocked."""
    filters = {name: found for name, found in ((name, state.running(pins, name)) for name in pins.filters()) if found}
    if not filters:
        return ["no filter is attached on this host, so nothing is dropped yet: attach one with xdp_filter"]
    return [
        f"the filter on {name} reads the lists of an interrupted change of them: run xdp_filter again"
        for name, found in filters.items()
        if not state.reads_lists(pins, found.info)
    ]


def _result(request: ListRequest, plan: Plan, count: int, warnings: list[str]) -> dict:
    result = {"changed": bool(plan), "count": count, "warnings": warnings + _kept_warnings(request, plan)}
    shown: dict[bytes, Change] = {}
    for name in ("added", "updated", "removed"):
        changes = getattr(plan, name)
        first = _first(changes, MAX_SHOWN)
        shown.update(first)
        result[name] = [addresses.display(key) for key in first]
        result[name + "_count"] = claims.count(changes)
    return {**result, "diff": _diff(request, shown, claims.count(plan.added + plan.updated + plan.removed))}


def _kept_warnings(request: ListRequest, plan: Plan) -> list[str]:
    return [
        f"{addresses.display(key)} stays on the {request.name}: it belongs to {', '.join(sorted(change.after))}, "
        f"not to {request.owner}; name that owner to remove it"
        for key, change in _first(plan.kept, addresses.MAX_REPORTED).items()
    ]


def _first(changes: list[Change], number: int) -> dict[bytes, Change]:
    """The first so many entries in the order of display, each with what becomes of it."""
    found = {}
    for change in changes:
        # Exact addresses of one kind are in order as they are, which is quicker.
        order = addresses.sort_key if change.kind.startswith("network") else None
        found.update(dict.fromkeys(heapq.nsmallest(number, change.keys, order), change))
    return {key: found[key] for key in sorted(found, key=addresses.sort_key)[:number]}


def _diff(request: ListRequest, shown: dict[bytes, Change], number: int) -> dict:
    """Only entries that change, ``number`` of them: the rest of a list may be a million lines."""
    keys = sorted(shown, key=addresses.sort_key)[:MAX_SHOWN]
    more = f"... and {number - MAX_SHOWN} more changed entries\n" if number > MAX_SHOWN else ""
    before = [line for key in keys for line in claims.describe(key, shown[key].before.claims)]
    after = [line for key in keys for line in claims.describe(key, shown[key].after)]
    return {
        "before_header": request.name,
        "after_header": request.name,
        "before": "".join(line + "\n" for line in before) + more,
        "after": "".join(line + "\n" for line in after) + more,
    }
