# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan what is kept of the host and its filters, and describe the plan for a diff. ``filter_notes`` reads what is kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Optional

from ..kernel import schema
from ..store import hooks
from .directory import HOST, Store
from .edit import Edit, NoteEdit, understood
from .entry_edit import EntriesEdit
from .entry_notes import EntriesNote, entries_name, owners_of_entries, read_entries
from .filter_notes import HostNote, filters, host
from .filter_owners import OWNERS

#: The options of filters by name; None for a filter that is to be forgotten.
OptionsByName = Mapping[str, Optional[Mapping[str, Any]]]


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
