# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the host and its filters: read, checked, planned and described."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, Optional, TypedDict

from ..errors import PingKillerError
from ..kernel import schema
from ..store import hooks
from ..store.limits import MAX_CAPACITY
from ..store.paths import DEFAULT_BASE
from ..store.pins import Pins
from .directory import HOST, Store
from .edit import Edit, NoteEdit, is_number, read_checked, understood
from .entry_edit import EntriesEdit
from .entry_notes import EntriesNote, entries_name, owners_of_entries, read_entries
from .filter_owners import OWNERS

UNIT = "/etc/systemd/system/pingkiller.service"  #: the role writes it where filters are to be restored

#: The options of filters by name; None for a filter that is to be forgotten.
OptionsByName = Mapping[str, Optional[Mapping[str, Any]]]

#: The directories of the notes that say what is to be restored.
PLACES = (("filters",), *(("entries", name) for name in schema.LISTS))


class HostNote(TypedDict, total=False):
    """What is kept of the host. Empty where nothing is to be restored."""

    base: str  #: the directory of the pins
    max_entries: int | None  #: the capacity of each list


def check_there(store: Store) -> None:
    """Check that the wanted state is there. Raises PingKillerError if some or all of it seems to be lost."""
    noted = [store.path("/".join((*inside, name))) for inside in PLACES for name in store.names(*inside)]
    if noted and not store.restores():
        raise PingKillerError(
            f"{store.path(HOST)} is not there, although {noted[0]} is: the pins are taken to be in {DEFAULT_BASE}; "
            f"deploy again"
        )
    if os.path.lexists(UNIT) and store.is_empty():
        raise PingKillerError(
            f"{store.directory} is empty or not there, so nothing says what {UNIT} is to restore: mount it, name "
            f"the directory of the deployment with --config, or deploy again"
        )


def host(store: Store) -> HostNote:
    """Read what is kept of the host. Raises Broken, and PingKillerError as ``Store.read``."""
    return read_checked(store, HOST, _checked_host)


def filters(store: Store, interface: str) -> dict[str, dict[str, Any]]:
    """Read the options of an interface's filters by hook. Raises what ``host`` raises."""
    return read_checked(store, f"filters/{interface}", _checked_filters)


def _checked_host(about: dict[str, Any]) -> HostNote:
    base, capacity = about.get("base", DEFAULT_BASE), about.get("max_entries")
    try:
        Pins(base)
    except (TypeError, PingKillerError):
        raise ValueError(f"base={base}") from None
    if capacity is not None and not (is_number(capacity) and 0 < capacity <= MAX_CAPACITY):
        raise ValueError(f"max_entries={capacity}")
    note: HostNote = {}
    if "base" in about:
        note["base"] = about["base"]
    if "max_entries" in about:
        note["max_entries"] = about["max_entries"]
    return note


def _checked_filters(by_hook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for hook, options in by_hook.items():
        if hook not in schema.HOOKS or not isinstance(options, dict):
            raise ValueError(f"{hook}: {options}")
    return by_hook


def plan_filters(store: Store, about_host: HostNote, options: OptionsByName) -> list[Edit]:
    """Plan to keep filters with these options, and to forget others.

    The note of the host becomes ``about_host``, or goes if nothing is left to be restored.
    """
    store.require_own()
    interfaces = dict.fromkeys(hooks.split_name(name)[0] for name in options)
    edits: list[Edit] = [_plan_interface(store, interface, options) for interface in interfaces]
    others = set(store.names("filters")) - interfaces.keys()
    left = others or any(edit.after for edit in edits) or any(store.names("entries", name) for name in schema.LISTS)
    return [*edits, plan_host(store, about_host if left else None)]


def _plan_interface(store: Store, interface: str, options: OptionsByName) -> Edit:
    found = understood(lambda: filters(store, interface))
    before = found or {}
    after: dict[str, Mapping[str, Any]] = dict(before)
    for name, wanted in options.items():
        of, hook = hooks.split_name(name)
        if of == interface:
            after.pop(hook, None)
            after.update({hook: wanted} if wanted else {})
    return NoteEdit(store=store, name=f"filters/{interface}", found=found, before=before, after=after)


def plan_host(store: Store, about: HostNote | None) -> Edit:
    """Plan to keep this of the host. ``about`` is None if nothing is left to be restored."""
    found = understood(lambda: host(store))
    before: HostNote = found or {}
    after: HostNote = {} if about is None else {**before, **about}
    return NoteEdit(store=store, name=HOST, found=found, before=before, after=after)


def plan_forgetting(store: Store) -> list[Edit]:
    """Plan to keep nothing. Copies that an interrupted run left without their note go as well."""
    store.require_own()
    names = [HOST, OWNERS, *(f"filters/{name}" for name in store.names("filters"))]
    contents = {name: understood(functools.partial(store.read, name)) for name in names}
    edits: list[Edit] = [
        NoteEdit(store=store, name=name, found=content, before=content or {}, after={})
        for name, content in contents.items()
        if content != {}
    ]
    for list_name in schema.LISTS:
        edits += [_plan_forgetting_entries(store, list_name, owner) for owner in owners_of_entries(store, list_name)]
    return edits


def _plan_forgetting_entries(store: Store, list_name: str, owner: str) -> Edit:
    found = understood(lambda: read_entries(store, list_name, owner)) or None
    return EntriesEdit(
        store=store, name=entries_name(list_name, owner), found=found, before=found or {}, after=EntriesNote()
    )


def describe_filters(edits: list[Edit], when: str) -> dict[str, Any]:
    """Return for a diff what changes of what will be restored, by note. Of the owners, those of the filters concerned.

    That host.json goes with the last filter is not told: in check mode, another filter may be about to come. ``when`` is
    before or after.
    """
    changing = [edit for edit in edits if edit]
    told = [edit for edit in changing if edit.name != HOST or edit.after] or changing
    return {edit.name: _described(edit, edit.before if when == "before" else edit.after) for edit in told}


def _described(edit: Edit, content: Mapping[str, Any]) -> Mapping[str, Any]:
    if edit.name != OWNERS:
        return content
    return {name: value for name, value in content.items() if edit.before.get(name) != edit.after.get(name)}
