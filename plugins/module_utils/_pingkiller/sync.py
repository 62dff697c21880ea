# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a list as a front end asks for it: read what is, plan, and apply unless it is only to be predicted."""

from __future__ import annotations

import io
from typing import NamedTuple

from . import addresses, durations, lists, schema, state
from .addresses import Wanted
from .errors import PingKillerError
from .lock import host_lock
from .pins import Pins
from .wanted import Edit, Store, describe_entries, plan_entries

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
    persist: bool | None = None  #: None: where the host restores its filters
    store: Store | None = None  #: None: what is restored at boot is left alone


def read_wanted(request: ListRequest) -> dict:
    """The entries asked for, by key. Raises PingKillerError before anything on the host is looked at."""
    if request.exclusive and request.absent:
        raise PingKillerError(
            "exclusive=true and state=absent contradict each other: use exclusive with state=present only"
        )
    _check_owner(request.owner)
    until = schema.FOREVER if request.ttl is None else durations.until(durations.checked("ttl", request.ttl))
    wanted = Wanted(schema.DIRECTIONS[request.direction], until)
    if request.content is not None:
        return addresses.parse_lines(io.StringIO(request.content, newline=None), "content", wanted)
    if request.src is not None:
        return _read_file(request.src, wanted)
    texts = [text.strip() for text in request.ip or []]
    return addresses.parse_all(texts, wanted)


def _check_owner(owner: str) -> None:
    allowed = owner.replace("-", "").replace("_", "").replace(".", "")
    if not (allowed.isascii() and allowed.isalnum()) or len(owner) >= schema.OWNER_SIZE:
        raise PingKillerError(
            f"owner={owner!r} is no name for an owner: use up to {schema.OWNER_SIZE - 1} letters, digits, dots, dashes, underscores"
        )


def _read_file(path: str, wanted: Wanted) -> dict:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return addresses.parse_lines(file, path, wanted)
    except OSError as error:
        raise PingKillerError(
            f"src={path!r} cannot be read on the managed host ({error.strerror}): give the path of a list file there"
        ) from None


def change(base: str, request: ListRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Bring a list to what the request says; the module's result. Raises PingKillerError with nothing changed."""
    wanted = read_wanted(request)
    state.require_bpf()
    pins = Pins(base)
    mounted = pins.check_mount()
    kept = _plan_kept(request, wanted)
    if check or (request.absent and not kept and not (mounted and pins.exists())):
        return _with_kept(_result(request, *_predict(pins, request, wanted)), kept)
    with host_lock(lock_timeout):
        kept = _plan_kept(request, wanted)
        result = _change(pins, request, wanted)
        if kept is not None:
            kept.write()
        return _with_kept(result, kept)


def _change(pins: Pins, request: ListRequest, wanted: dict) -> dict:
    """The same under the lock, but for what is restored at boot."""
    pins.settle_lists()
    if not request.absent:
        _check_before_creating(pins, request, wanted)
        state.create(pins, lists.DEFAULT_CAPACITY)
    with state.opened_list(pins, request.name) as entries:
        if entries is None:
            return _result(request, _plan(None, request, wanted), 0, [])
        entries.settle()
        plan = _plan(entries, request, wanted)
        if plan:
            entries.apply(plan)
        return _result(request, plan, entries.count, [] if request.absent else _warnings(pins))


def _plan_kept(request: ListRequest, wanted: dict) -> Edit | None:
    return plan_entries(request.store, request, wanted) if request.store else None


def _with_kept(result: dict, kept: Edit | None) -> dict:
    """The result with what changes of what is restored at boot."""
    if kept:
        result["changed"] = True
        for when in ("before", "after"):
            result["diff"][when] += describe_entries(kept, when)
    return result


def _predict(pins: Pins, request: ListRequest, wanted: dict) -> tuple:
    with state.opened_list(pins, request.name) as entries:
        plan = _plan(entries, request, wanted)
        if entries is not None:
            entries.check(plan)
            count = entries.count
        else:
            _check_fits(request, wanted)
            count = 0
        return plan, count + len(plan.added) - len(plan.removed), [] if request.absent else _warnings(pins)


def _plan(entries: lists.EntryList | None, request: ListRequest, wanted: dict) -> lists.Plan:
    current = entries.current(wanted, request.exclusive) if entries is not None else {}
    return lists.make_plan(current, wanted, request.owner, request.absent, request.exclusive)


def _check_before_creating(pins: Pins, request: ListRequest, wanted: dict) -> None:
    """Refuse on a host without state before any is made."""
    if not pins.exists():
        _check_fits(request, wanted)


def _check_fits(request: ListRequest, wanted: dict) -> None:
    if request.absent:
        return
    lists.check_capacity(request.name, len(wanted), lists.DEFAULT_CAPACITY)
    networks = {key[0] for key in wanted if len(key) == schema.KEY_SIZES["network6"]}
    lists.check_prefix_lengths(request.name, networks)


def _warnings(pins: Pins) -> list[str]:
    """What a user would want to know who believes that this is now blocked."""
    filters = {name: found for name, found in ((name, state.running(pins, name)) for name in pins.filters()) if found}
    if not filters:
        return ["no filter is attached on this host, so nothing is dropped yet: attach one with xdp_filter"]
    return [
        f"the filter on {name} reads the lists of an interrupted change of max_entries: run xdp_filter again"
        for name, found in filters.items()
        if not state.reads_current_lists(pins, found.info)
    ]


def _result(request: ListRequest, plan: lists.Plan, count: int, warnings: list[str]) -> dict:
    kept = [
        f"{addresses.display(entry.key)} stays on the {request.name}: it belongs to {', '.join(sorted(entry.after))}, "
        f"not to {request.owner}; name that owner to remove it"
        for entry in plan.kept[: addresses.MAX_REPORTED]
    ]
    result = {"changed": bool(plan), "count": count, "diff": _diff(request, plan), "warnings": warnings + kept}
    for name in ("added", "updated", "removed"):
        keys = sorted((entry.key for entry in getattr(plan, name)), key=addresses.sort_key)
        result[name] = [addresses.display(key) for key in keys[:MAX_SHOWN]]
        result[name + "_count"] = len(keys)
    return result


def _diff(request: ListRequest, plan: lists.Plan) -> dict:
    """Only the entries that change: the rest of a list may be a million lines."""
    changes = sorted([*plan.added, *plan.updated, *plan.removed], key=lambda entry: addresses.sort_key(entry.key))
    return {
        "before_header": request.name,
        "after_header": request.name,
        "before": _text(changes, "before"),
        "after": _text(changes, "after"),
    }


def _text(changes: list, when: str) -> str:
    lines = [line for entry in changes[:MAX_SHOWN] for line in lists.describe(entry.key, getattr(entry, when))]
    if len(changes) > MAX_SHOWN:
        lines.append(f"... and {len(changes) - MAX_SHOWN} more changed entries")
    return "".join(line + "\n" for line in lines)
