# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the host, its filters and their owners: read, checked, planned and described."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ..errors import PingKillerError
from ..kernel import schema
from ..store import hooks
from ..store.limits import MAX_CAPACITY
from ..store.paths import DEFAULT_BASE
from ..store.pins import Pins
from .directory import HOST, Store
from .edit import Edit, EntriesEdit, is_number, read_checked, understood
from .entry_notes import entries_name, owners_of_entries

UNIT = "/etc/systemd/system/pingkiller.service"  #: which the role writes where filters are to come back

_OWNERS = "owners"

_LONGEST_NAME = 128

# Filters


#: Where there are files that say what is to be restored.
PLACES = (("filters",), *(("entries", each) for each in schema.LISTS))


def check_there(store: Store) -> None:
    """Whether the wanted state may be whole. Raises PingKillerError if it looks as if some or all of it was lost."""
    noted = [store.path("/".join((*inside, name))) for inside in PLACES for name in store.names(*inside)]
    if noted and not store.restores():
        raise PingKillerError(
            f"{store.path(HOST)} is not there, which belongs to {noted[0]}: {DEFAULT_BASE} is taken for where the pins are; "
            f"deploy again"
        )
    if os.path.lexists(UNIT) and store.is_empty():
        raise PingKillerError(
            f"{store.directory} is empty or not there, so nothing says what {UNIT} is to restore: mount it, name "
            f"the directory of the deployment with --config, or deploy again"
        )


def host(store: Store) -> dict:
    """``base`` and ``max_entries``; empty where nothing is to be restored."""
    return read_checked(store, HOST, _check_host)


def filters(store: Store, interface: str) -> dict:
    """The options of an interface's filters, by hook."""
    return read_checked(store, f"filters/{interface}", _check_filters)


def _check_host(about: dict) -> None:
    """Raises one of the exceptions that wrong data raises, as all that check do."""
    base, capacity = about.get("base", DEFAULT_BASE), about.get("max_entries")
    try:
        Pins(base)
    except (TypeError, PingKillerError):
        raise ValueError(f"base={base}") from None
    if capacity is not None and not (is_number(capacity) and 0 < capacity <= MAX_CAPACITY):
        raise ValueError(f"max_entries={capacity}")


def _check_filters(by_hook: dict) -> None:
    for hook, options in by_hook.items():
        if hook not in schema.HOOKS or not isinstance(options, dict):
            raise ValueError(f"{hook}: {options}")


def _check_owners(by_filter: dict) -> None:
    for name, owner in by_filter.items():
        interface, hook = hooks.split_name(name)
        named = 0 < len(os.fsencode(interface)) < _LONGEST_NAME and "\0" not in interface
        if not named or hook not in schema.HOOKS or not isinstance(owner, str):
            raise ValueError(f"{name}: {owner}")


def plan_filters(store: Store, about_host: dict, options: dict) -> list[Edit]:
    """``options`` are those of each filter, by its name, or None for one that is to be forgotten. Pure but for reading."""
    store.require_own()
    edits = []
    for interface in dict.fromkeys(hooks.split_name(name)[0] for name in options):
        found = understood(filters, store, interface)
        before = found or {}
        after = dict(before)
        for name, wanted in options.items():
            of, hook = hooks.split_name(name)
            if of == interface:
                after.pop(hook, None)
                after.update({hook: wanted} if wanted else {})
        edits.append(Edit(store, f"filters/{interface}", found, before, after))
    others = set(store.names("filters")) - {edit.name.partition("/")[2] for edit in edits}
    left = others or any(edit.after for edit in edits) or any(store.names("entries", each) for each in schema.LISTS)
    return [*edits, plan_host(store, about_host if left else None)]


def plan_host(store: Store, about: dict | None) -> Edit:
    """``about`` is None where nothing is left to be restored."""
    found = understood(host, store)
    before = found or {}
    return Edit(store, HOST, found, before, {} if about is None else {**before, **about})


def owners(store: Store) -> dict:
    """Who wants each filter, by the filter's name. What was put there by hand has no owner."""
    return read_checked(store, _OWNERS, _check_owners)


def plan_owner(
    store: Store, names: Iterable[str], owner: str, own_name: Callable[[str], str], absent: bool = False
) -> Edit:
    """Note that an owner wants these filters, or that this one no longer does.

    ``own_name`` gives filters the names that they have now, since interfaces are renamed.
    """
    store.require_own()
    found = understood(owners, store)
    before = found or {}
    known = {own_name(name): other for name, other in before.items()}
    others = {name: other for name, other in known.items() if name not in names or other != owner}
    after = others if absent else {**known, **dict.fromkeys(names, owner)}
    return Edit(store, _OWNERS, found, before, after)


def owner_changes(edits: list[Edit], own_name: Callable[[str], str]) -> dict[str, str | None]:
    """The filters that get another owner, with the one that they had, None where nobody was known to want them."""
    changes = {}
    for edit in edits:
        before = {own_name(name): owner for name, owner in edit.before.items()} if edit.name == _OWNERS else {}
        after = edit.after if edit.name == _OWNERS else {}
        changes.update({name: before.get(name) for name, owner in after.items() if before.get(name) != owner})
    return changes


def owned_by(edits: list[Edit], owner: str) -> list[str]:
    """The names of all filters that an owner wants, once these have been written."""
    after = (edit.after for edit in edits if edit.name == _OWNERS)
    return sorted(name for each in after for name, other in each.items() if other == owner)


def plan_forgetting(store: Store) -> list[Edit]:
    """Everything goes, also copies that a run that was interrupted has left without their note."""
    store.require_own()
    names = [HOST, _OWNERS, *(f"filters/{name}" for name in store.names("filters"))]
    contents = {name: understood(store.read, name) for name in names}
    edits = [Edit(store, name, content, content or {}, {}) for name, content in contents.items() if content != {}]
    for each in schema.LISTS:
        for owner in owners_of_entries(store, each):
            content = understood(store.read, entries_name(each, owner))
            edits.append(EntriesEdit(store, entries_name(each, owner), content or None, content or {}, {}))
    return edits


def describe_filters(edits: list[Edit], when: str) -> dict:
    """What changes of what will be restored, for a diff: of owners, those of the filters concerned.

    That host.json goes with the last filter is not told: in check mode, another one may be about to come.
    """
    changing = [edit for edit in edits if edit]
    told = [edit for edit in changing if edit.name != HOST or edit.after] or changing
    return {edit.name: _changing(edit, when) if edit.name == _OWNERS else getattr(edit, when) for edit in told}


def _changing(edit: Edit, when: str) -> dict:
    return {name: value for name, value in getattr(edit, when).items() if edit.before.get(name) != edit.after.get(name)}
