# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a list as a front end asks for it: read what is, plan, and apply unless it is only to be predicted."""

from __future__ import annotations

import heapq
import io
import os
import sys
from typing import NamedTuple

from . import addresses, claims, durations, effects, list_files, lists, reading, recovery, schema, state
from .addresses import Wanted, Wishes
from .claims import Change, Demand, Plan
from .errors import PingKillerError, quoted, quoted_path, shortened_path
from .foreseen import Foreseen, ListToCome
from .list_files import Reading
from .lock import check_timeout, host_lock
from .pins import Pins
from .wanted import Asked, Edit, Store, describe_entries, plan_entries, plan_host

_COMPARED, _COMPARED_EXACTLY = 4096, 131072  #: entries of a list whose indexes are compared with its records
_PATIENCE = 60  #: seconds for a list file: the largest there may be, from a slow server
MAX_SHOWN = 1000  #: entries named in a result or a diff; the counts are always exact


class ListRequest(NamedTuple):
    """What is asked of a list. One of ``ip``, ``src``, ``content``, ``wishes`` is set; ``src`` with ``content`` is a file to come."""

    name: str
    ip: list[str] | None = None
    src: str | None = None
    content: str | None = None
    wishes: Wishes | None = None  #: what was read before
    absent: bool = False
    exclusive: bool = False
    owner: str = "adhoc"
    direction: str | None = None  #: None: src, or of entries that are to go, whatever they have
    ttl: str | None = None
    from_owner: str | None = None
    any_owner: bool = False
    reading: Reading = Reading()
    persist: bool | None = None  #: None: where the host restores its filters
    store: Store | None = None  #: None: what is restored at boot is left alone
    foreseen: Foreseen = Foreseen()  #: for a prediction


def read_demand(request: ListRequest) -> Demand:
    """What is asked for. Raises PingKillerError before anything on the host is looked at."""
    if request.exclusive and request.absent:
        raise PingKillerError(
            "exclusive=true and state=absent contradict each other: use exclusive with state=present only"
        )
    if request.any_owner and not request.absent:
        raise PingKillerError("any_owner=true and state=present contradict each other: name who wants it with owner")
    _check_owner("owner", request.owner)
    _check_handover(request)
    wishes = _read_wishes(request)
    if len(wishes.keys) > _most(request):
        list_files.check_number(set(wishes.keys), _most(request))
    return Demand(
        wishes,
        request.owner,
        absent=request.absent,
        exclusive=request.exclusive,
        from_owner=request.from_owner,
        any_owner=request.any_owner,
    )


def _read_wishes(request: ListRequest) -> Wishes:
    if request.wishes is not None:
        return request.wishes
    until = schema.FOREVER if request.ttl is None else durations.until(durations.checked("ttl", request.ttl))
    wanted = Wanted(schema.DIRECTIONS[request.direction or ("both" if request.absent else "src")], until)
    if request.content is not None:
        file = io.StringIO(request.content, newline=None)
        return list_files.parse_file(file, "content", wanted, request.reading, most=_most(request))
    if request.src is not None:
        return _read_file(request.src, wanted, request.reading, _most(request))
    texts = [text.strip() for text in request.ip or []]
    return list_files.parse_all(texts, wanted, request.reading)


def _most(request: ListRequest) -> int:
    """How many entries may be asked for: no more than a list holds, but any number may be asked to go."""
    return sys.maxsize if request.absent else lists.MAX_CAPACITY


def _check_owner(option: str, owner: str) -> None:
    allowed = owner.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum()) or len(owner) >= schema.OWNER_SIZE:
        raise PingKillerError(
            f"{option}={quoted(owner)} is no name for an owner: use up to {schema.OWNER_SIZE - 1} letters, digits, dots, dashes, underscores"
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


def _read_file(path: str, wanted: Wanted, how: Reading, most: int) -> Wishes:
    try:
        reading.require_answer(path, _PATIENCE)
        with reading.opened(path) as file:
            before = _version_of(file)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")
            wishes = list_files.parse_file(text, shortened_path(path), wanted, how, path, most)
            changed = _version_of(file) != before
    except ValueError as error:
        raise PingKillerError(
            f"src={quoted_path(path)} {error}: give the path of a list file on the managed host"
        ) from None
    except TimeoutError:
        raise PingKillerError(
            f"src={quoted_path(path)} was not read within {_PATIENCE:g} s: nothing was changed; see what its file system waits for"
        ) from None
    except OSError as error:
        raise PingKillerError(
            f"src={quoted_path(path)} cannot be read on the managed host ({error.strerror}): give the path of a list file there"
        ) from None
    if changed:  # half a list would remove the other half
        raise PingKillerError(
            f"src={quoted_path(path)} was written to while it was read: nothing was changed; run again"
        )
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
    asked = Asked(request, demand.wishes)
    there = (mounted and pins.in_use().exists()) or recovery.any_lost(pins)
    if check and (there or not request.absent):  # as the run then does
        pins.require_ours()
    if check or (request.absent and not there):
        kept = _plan_kept(pins, request, asked)
        if check or not any(kept):
            foreseen = request.foreseen if check else Foreseen()
            return _with_kept(_result(request, demand, *_predict(pins, request, demand, foreseen)), kept)
    with host_lock(lock_timeout):
        kept = _plan_kept(pins, request, asked)
        result = _with_kept(_change(pins, request, demand), kept)
        for edit in kept:
            edit.write()
        return result


def _change(pins: Pins, request: ListRequest, demand: Demand) -> dict:
    """The same under the lock, but for what is restored at boot."""
    mended = recovery.settle(pins)
    recovery.require_same_lists(pins)
    state.require_present_schema(pins)
    if not request.absent:
        _check_before_creating(pins, request, demand)
        state.create(pins, lists.DEFAULT_CAPACITY)
    with state.opened_list(pins, request.name) as entries:
        if entries is None:
            return _result(request, demand, _plan(None, demand), 0, [])
        _compare(entries, demand)
        entries.settle()
        plan = _plan(entries, demand)
        warnings = effects.foresee(pins, request.name, demand, plan, entries)
        if plan:
            entries.apply(plan)
        result = _result(request, demand, plan, entries.count, mended + warnings)
        return {**result, "changed": result["changed"] or bool(mended)}


def _plan_kept(pins: Pins, request: ListRequest, asked: Asked) -> list[Edit]:
    if not request.store:
        return []
    edits = plan_entries(request.store, asked)
    if request.persist and any(edit.after for edit in edits) and not request.store.restores():
        edits.append(plan_host(request.store, {"base": pins.base, "max_entries": _capacity(pins, request.name)}))
    return edits


def _capacity(pins: Pins, name: str) -> int:
    with state.opened_list(pins.in_use(), name) as entries:
        return lists.DEFAULT_CAPACITY if entries is None else entries.capacity


def _with_kept(result: dict, kept: list[Edit]) -> dict:
    """The result with what changes of what is restored at boot."""
    if result["changed"] or any(kept):  # in this order: to compare a copy with another takes longest
        result["changed"] = True
        for when in ("before", "after"):
            result["diff"][when] += "".join(describe_entries(edit, when) for edit in kept)
    return result


def _predict(pins: Pins, request: ListRequest, demand: Demand, foreseen: Foreseen) -> tuple:
    pins = pins.in_use()
    if not foreseen.filters:  # what attaches a filter brings lists and filters together, and to this schema
        recovery.require_same_lists(pins)
        state.require_present_schema(pins)
    with state.opened_list(pins, request.name) as entries:
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
    with state.opened_list(pins, request.name) as entries:
        plan = _plan(entries, demand)
        held = entries.held() if entries is not None and plan else []
    return ListToCome(request.name, held, plan) if plan else None


def _compare(entries: lists.EntryList, demand: Demand) -> None:
    """Find damage in lists of which that takes some milliseconds; an exact list is read whole in any case."""
    entries.compare(_COMPARED_EXACTLY if demand.exclusive else _COMPARED)


def _plan(entries: lists.EntryList | None, demand: Demand) -> Plan:
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
    lists.check_capacity(request.name, claims.count(plan.added), capacity or lists.DEFAULT_CAPACITY)
    lists.check_prefix_lengths(request.name, set(lists.ipv6_lengths(plan.added)))


def _result(request: ListRequest, demand: Demand, plan: Plan, count: int, warnings: list[str]) -> dict:
    result = {
        "changed": bool(plan),
        "count": count,
        "skipped_count": demand.wishes.skipped,
        "warnings": [*demand.wishes.notes, *warnings],
    }
    shown: dict[bytes, Change] = {}
    for name in ("added", "updated", "removed"):
        changes = getattr(plan, name)
        first = _first(changes, MAX_SHOWN)
        shown.update(first)
        result[name] = [addresses.display(key) for key in first]
        result[name + "_count"] = claims.count(changes)
    return {**result, "diff": _diff(request, shown, claims.count(plan.added + plan.updated + plan.removed))}


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
