# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring back what the wanted state says and the kernel has not: after a boot, or when an interface appears.

Nothing is taken away here, and an entry with an expiry that is on its list keeps the expiry it has there. Each filter and
each owner's entries are dealt with by themselves: what cannot be brought back is said, and keeps nothing else away.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

from . import addresses, filters, hooks, netlink, schema, state, sync, wanted
from .errors import PingKillerError
from .lists import DEFAULT_CAPACITY
from .lock import host_lock
from .options import FilterOptions
from .pins import Pins
from .wanted import Store

#: The allowlist first, so that what it protects is never dropped meanwhile.
_LISTS = (schema.ALLOWLIST, schema.BLOCKLIST)


class Outcome(NamedTuple):
    """What became of it, in sentences."""

    changed: list[str]  #: brought back, or in check mode: missing
    absent: list[str]  #: filters whose interface is not there
    warnings: list[str]
    errors: list[str]


class Run(NamedTuple):
    """What one call is about."""

    store: Store
    sources: dict[str, str]
    base: str
    capacity: int | None
    check: bool
    lock_timeout: float
    outcome: Outcome


def restore(
    store: Store, sources: dict[str, str], interface: str | None = None, check: bool = False, lock_timeout: float = 30.0
) -> Outcome:
    """Bring back everything, or the filters of one interface. With ``check`` only say what is missing."""
    outcome = Outcome([], [], [], [])
    try:
        about = wanted.host(store)
    except PingKillerError as error:
        return outcome._replace(errors=[str(error)])
    if not about:
        return outcome
    run = Run(store, sources, about.get("base", ""), about.get("max_entries"), check, lock_timeout, outcome)
    _attempt(run, lambda: _restore(run, interface))
    return outcome


def _attempt(run: Run, action) -> None:
    """Note what cannot be done, and let what follows be tried."""
    try:
        action()
    except PingKillerError as error:
        run.outcome.errors.append(str(error))
    except OSError as error:
        run.outcome.errors.append(f"the host refused what PingKiller asked of it: {error}")


def _restore(run: Run, interface: str | None) -> None:
    state.require_bpf()
    pins = Pins(run.base)
    fresh = not (pins.check_mount() and pins.in_use().exists())
    if fresh and not run.check:  # the lists come before the filters that read them
        with host_lock(run.lock_timeout):
            state.create(pins, run.capacity or DEFAULT_CAPACITY)
        _restore_lists(run)
    for each in run.store.names("filters") if interface is None else [interface]:
        _attempt(run, lambda each=each: _restore_interface(run, each))
    if not fresh and interface is None:
        _restore_lists(run)


# Filters


def _restore_interface(run: Run, interface: str) -> None:
    by_hook = wanted.filters(run.store, interface)
    for hook, options in by_hook.items():
        name = hooks.filter_name(interface, hook)
        if netlink.link(interface) is None:
            run.outcome.absent.append(name)
        else:
            _attempt(run, lambda hook=hook, options=options: _restore_filter(run, interface, hook, options))


def _restore_filter(run: Run, interface: str, hook: str, options: dict) -> None:
    request = _filter_request(run, interface, hook, options)
    result = filters.present(run.base, request, run.check, run.lock_timeout)
    run.outcome.warnings.extend(result["warnings"])
    if result["changed"]:
        name = hooks.filter_name(interface, hook)
        run.outcome.changed.append(f"filter on {name}")


def _filter_request(run: Run, interface: str, hook: str, options: dict) -> filters.FilterRequest:
    try:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        force = given.pop("force", False)
        _check_types(given)
        checked = FilterOptions.checked(**{**given, "hook": hook})
    except (AttributeError, TypeError, ValueError) as error:
        path = run.store.path(f"filters/{interface}")
        raise PingKillerError(f"{path} is not as PingKiller writes it ({error}): deploy again") from None
    return filters.FilterRequest((interface,), checked, run.sources, run.capacity, force)


def _check_types(given: dict) -> None:
    """What Ansible does with a module's options. Raises TypeError."""
    for name, default in FilterOptions()._asdict().items():
        if name in given and type(given[name]) is not type(default):
            raise TypeError(f"{name}={given[name]!r} should be like {default!r}")


# Lists


def _restore_lists(run: Run) -> None:
    for name in _LISTS:
        for owner in run.store.names("entries", name):
            _attempt(run, lambda name=name, owner=owner: _restore_owner(run, name, owner))


def _restore_owner(run: Run, name: str, owner: str) -> None:
    kept = wanted.entries(run.store, name, owner)
    count = 0
    for request in _requests(run, name, owner, kept):
        result = sync.change(run.base, request, run.check, run.lock_timeout)
        count += result["added_count"] + result["updated_count"]
    if count:
        run.outcome.changed.append(f"entries of {owner} on the {name}: {count}")


def _requests(run: Run, name: str, owner: str, kept: dict) -> Iterator[sync.ListRequest]:
    """What to ask of the list so that it has what is kept."""
    common = {"name": name, "owner": owner}
    timed: dict = {}
    for path, about in kept.get("sources", {}).items():
        if "until" in about:
            timed.update(dict.fromkeys(_keys(path), about))
        else:
            yield _source_request(path, about, common)
    lines = []
    for address, about in kept.get("entries", {}).items():
        if "until" in about:
            timed[addresses.parse(address)] = about
        else:
            lines.append(f"{address} direction={about['direction']}")
    lines += _timed_lines(run, name, owner, timed)
    if lines:
        yield sync.ListRequest(content="\n".join(lines), **common)


def _source_request(path: str, about: dict, common: dict) -> sync.ListRequest:
    """A list file whose entries are for good. Those in it that expire are kept by themselves, with the time."""
    text = _read(path)
    common = {**common, "direction": about["direction"]}
    if "ttl=" not in text:
        return sync.ListRequest(src=path, **common)
    lines = [line for line in text.splitlines() if "ttl=" not in line.partition("#")[0]]
    return sync.ListRequest(content="\n".join(lines), **common)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise PingKillerError(
            f"{path} cannot be read ({error.strerror}), from which a list is to be restored: put it back, or take its "
            f"entries off the list"
        ) from None


def _keys(path: str) -> Iterator[bytes]:
    return iter(addresses.parse_file(io.StringIO(_read(path)), path, addresses.Wanted(())).keys)


def _timed_lines(run: Run, name: str, owner: str, timed: dict) -> list[str]:
    """Those, by key, that have not expired and that the owner has not on the list."""
    with state.opened_list(Pins(run.base), name) as entries:
        held = entries.held(timed) if entries is not None else []
    there = {key for each in held if owner in each.claims for key in each.keys}
    lines = []
    for key, about in timed.items():
        seconds = wanted.seconds_left(about)
        if seconds and key not in there:
            lines.append(f"{addresses.display(key)} direction={about['direction']} ttl={seconds}")
    return lines
