# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring back what the wanted state says and the kernel has not: after a boot, or when an interface appears.

Nothing is taken away here, and an entry with an expiry that is on its list keeps the expiry it has there. Each filter and
each owner's entries are dealt with by themselves: what cannot be brought back is said, and keeps nothing else away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import durations
from ..entries import addresses
from ..entries.list_files import Reading
from ..entries.wishes import Wanted, Wishes
from ..errors import PingKillerError, bounded, quoted, quoted_path
from ..files import deadline
from ..filters import change
from ..filters.options import FilterOptions
from ..filters.request import FilterRequest
from ..kept import copies, entry_notes, filter_notes
from ..kept.directory import Store
from ..kernel import access, netlink, schema
from ..lists import sync
from ..lists.foreseen import Foreseen
from ..lists.request import ListRequest, read_demand
from ..store import entry_list, filter_programs, hooks, host_maps
from ..store.limits import DEFAULT_CAPACITY
from ..store.lock import host_lock
from ..store.paths import DEFAULT_BASE
from ..store.pins import Pins

_PATIENCE = 10.0  #: seconds for a list file elsewhere, for each of which a boot waits

#: Entries that are kept in one place, by what is wanted of them, read when they are asked for.
Part = Iterator[tuple[Wanted, list[bytes]]]

#: The allowlist first, so that what it protects is never dropped meanwhile.
_LISTS = (schema.ALLOWLIST, schema.BLOCKLIST)


class Outcome(NamedTuple):
    """What became of it, in sentences."""

    changed: list[str]  #: brought back, or in check mode: missing
    absent: list[str]  #: filters whose interface is not there
    warnings: list[str]
    errors: list[str]
    lost: list[str]  #: filters that somebody wants, of which nothing says how to bring them back


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
    run = Run(store, sources, DEFAULT_BASE, None, check, lock_timeout, Outcome([], [], [], [], []))
    _attempt(run, lambda: filter_notes.check_there(store))
    if check:  # a boot takes what only root can change; the modules want more before they write there
        _attempt(run, store.require_own)
    about: dict = {}
    _attempt(run, lambda: about.update(filter_notes.host(store)))
    run = run._replace(base=about.get("base", DEFAULT_BASE), capacity=about.get("max_entries"))
    if about or _noted(run):  # what host.json says has defaults, the rest has none
        _attempt(run, lambda: _restore(run, interface))
    if interface is None:
        _attempt(run, lambda: run.outcome.lost.extend(_lost(run)))
    return run.outcome


def _lost(run: Run) -> list[str]:
    named = filter_notes.owners(run.store)
    owned = set(map(filter_programs.own_name, named))
    pins = Pins(run.base)
    noted = {
        filter_programs.own_name(hooks.filter_name(interface, hook))
        for interface in {hooks.split_name(name)[0] for name in (*named, *owned)}
        for hook in filter_notes.filters(run.store, interface)
    }
    return [name for name in sorted(owned - noted) if not filter_programs.running(pins, name)]


def _attempt(run: Run, action) -> None:
    """Note what cannot be done, once, and let what follows be tried."""
    try:
        action()
        return
    except PingKillerError as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"the host refused what PingKiller asked of it: {error}"
    sentence = bounded(sentence)
    if sentence not in run.outcome.errors:
        run.outcome.errors.append(sentence)


def _noted(run: Run) -> bool:
    return any(_names(run, *inside) for inside in filter_notes.PLACES)


def _names(run: Run, *inside: str) -> list[str]:
    found: list[str] = []
    _attempt(run, lambda: found.extend(run.store.names(*inside)))
    return found


def _restore(run: Run, interface: str | None) -> None:
    """The lists come before the filters that read them, and what others could hold up comes after these."""
    access.require_bpf()
    pins = Pins(run.base)
    fresh = not (pins.check_mount() and pins.in_use().exists())
    outside: list[Groups] = []
    if fresh and not run.check:
        with host_lock(run.lock_timeout):
            pins.require_ours()
            host_maps.create(pins, run.capacity or DEFAULT_CAPACITY)
        outside = _restore_lists(run)
    for each in _names(run, "filters") if interface is None else [filter_programs.own_name(interface)]:
        _attempt(run, lambda each=each: _restore_interface(run, each))
    if interface is None and (run.check or not fresh):
        outside = _restore_lists(run)
    for groups in outside:
        _put_all_back(run, groups)


# Filters


def _restore_interface(run: Run, interface: str) -> None:
    own = filter_programs.own_name(interface)
    if own != interface and own in run.store.names("filters"):
        raise PingKillerError(
            f"{run.store.path(f'filters/{interface}')} is about the interface {own}, of which {interface} is another name, and which "
            f"has a file of its own: remove it"
        )
    by_hook = filter_notes.filters(run.store, interface)
    for hook, options in by_hook.items():
        name = hooks.filter_name(own, hook)
        if netlink.link(interface) is None:
            run.outcome.absent.append(name)
        else:
            _attempt(run, lambda hook=hook, options=options: _restore_filter(run, interface, hook, options))


def _restore_filter(run: Run, interface: str, hook: str, options: dict) -> None:
    request = _filter_request(run, interface, hook, options)
    result = change.present(run.base, request, check=run.check, lock_timeout=run.lock_timeout)
    run.outcome.warnings.extend(result["warnings"])
    if result["changed"]:
        name = filter_programs.own_name(hooks.filter_name(interface, hook))
        run.outcome.changed.append(f"filter on {name}")


def _filter_request(run: Run, interface: str, hook: str, options: dict) -> FilterRequest:
    try:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        force = given.pop("force", False) is True
        _check_types(given)
        checked = FilterOptions.checked(**{**given, "hook": hook})._asdict()
    except (AttributeError, TypeError, ValueError, PingKillerError) as error:
        path = run.store.path(f"filters/{interface}")
        what = error if isinstance(error, PingKillerError) else quoted(str(error))
        raise PingKillerError(f"{path} is not as PingKiller writes it ({what}): deploy again") from None
    return FilterRequest(
        interfaces=(interface,), options=checked, sources=run.sources, capacity=run.capacity, force=force
    )


def _check_types(given: dict) -> None:
    """What Ansible does with a module's options. Raises TypeError."""
    for name, default in FilterOptions()._asdict().items():
        if name in given and type(given[name]) is not type(default):
            raise TypeError(f"{name}={quoted(str(given[name]))} should be like {default!r}")


# Lists


class Groups(NamedTuple):
    """What an owner has on a list, in parts that are read and put back each by itself."""

    name: str
    owner: str
    parts: list[Part]


def _restore_lists(run: Run) -> list[Groups]:
    """Put back what is kept with the wanted state. What is to be read elsewhere is handed back, for later."""
    outside: list[Groups] = []
    for name in _LISTS:
        for owner in _names(run, "entries", name):
            _attempt(run, lambda name=name, owner=owner: outside.append(_restore_owner(run, name, owner)))
    return outside


def _restore_owner(run: Run, name: str, owner: str) -> Groups:
    kept = entry_notes.entries(run.store, name, owner)
    files = kept.get("sources", {}).items()
    of_copies = [
        part for _path, about in files for part in _of_copies(run, entry_notes.entries_name(name, owner), about)
    ]
    _put_all_back(run, Groups(name, owner, [*of_copies, _of_entries(kept.get("entries", {}))]))
    return Groups(name, owner, [_of_present_file(name, path, about) for path, about in files if "copies" not in about])


def _put_all_back(run: Run, groups: Groups) -> None:
    counts: list[int] = []
    for entries in groups.parts:
        _attempt(run, lambda entries=entries: counts.append(_put_back(run, groups.name, groups.owner, entries)))
    if sum(counts):
        run.outcome.changed.append(f"entries of {groups.owner} on the {groups.name}: {sum(counts)}")


def _of_copies(run: Run, note: str, about: dict) -> list[Part]:
    """What was last taken from a list file, but for what expires apart from it, which is kept entry by entry."""
    by_digest = about.get("copies", {}).items()
    return [_of_copy(run, note, digest, Wanted(schema.DIRECTIONS[sides], _until(about))) for digest, sides in by_digest]


def _of_copy(run: Run, note: str, digest: str, each: Wanted) -> Part:
    yield each, copies.unpack(run.store.read_copy(note, digest))


def _of_present_file(name: str, path: str, about: dict) -> Part:
    """Of a note of a version that kept no copies: until the file is taken again, what it holds now is all there is to have."""
    how = Reading(**{option: about[option] for option in Reading._fields if option in about})
    request = ListRequest(name, src=path, direction=about["direction"], reading=how)
    try:
        wishes = deadline.within(_PATIENCE, lambda: read_demand(request).wishes)
    except TimeoutError:
        raise PingKillerError(
            f"src={quoted_path(path)} was not read within {_PATIENCE:g} s, so that nothing of it is on the {name}: see what its file "
            f"system waits for, and have the list file taken again"
        ) from None
    for each, keys in wishes.by_wanted().items():
        if each.until == schema.FOREVER:
            yield each._replace(until=_until(about)), keys


def _of_entries(kept: dict) -> Part:
    for address, about in kept.items():
        yield Wanted(schema.DIRECTIONS[about["direction"]], _until(about)), [addresses.parse(address)]


def _until(about: dict) -> int:
    """0 if it has expired."""
    seconds = entry_notes.seconds_left(about)
    return schema.FOREVER if seconds is None else seconds and durations.until(seconds)


def _put_back(run: Run, name: str, owner: str, entries: Iterable[tuple[Wanted, list[bytes]]]) -> int:
    """How many of these entries the list had not, or not in this way."""
    entries = [(each, keys) for each, keys in entries if each.until]
    there = _held(run, name, owner, [key for each, keys in entries if each.until != schema.FOREVER for key in keys])
    left = [
        (each, keys if each.until == schema.FOREVER else [key for key in keys if key not in there])
        for each, keys in entries
    ]
    if not any(keys for _each, keys in left):
        return 0
    request = ListRequest(name, wishes=Wishes.of(left), owner=owner, foreseen=Foreseen(capacity=run.capacity))
    result = sync.change(run.base, request, run.check, run.lock_timeout)
    return result["added_count"] + result["updated_count"]


def _held(run: Run, name: str, owner: str, keys: list[bytes]) -> set[bytes]:
    """Those that the owner has on the list."""
    with entry_list.opened_list(Pins(run.base), name) as entries:
        held = entries.held(dict.fromkeys(keys)) if entries is not None else []
    return {key for each in held if owner in each.claims for key in each.keys}
