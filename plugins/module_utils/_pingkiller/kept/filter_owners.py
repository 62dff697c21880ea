# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns which filter: read, checked and planned. It is kept also where nothing is to be restored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from ..kernel import schema
from ..store import hooks
from .directory import Store
from .edit import Edit, NoteEdit, read_checked, understood

OWNERS = "owners"  #: the name of the note: see ``Store.path``

_LONGEST_NAME = 128  #: bytes: ALTIFNAMSIZ in linux/if.h, with the terminating zero


def owners(store: Store) -> dict[str, str]:
    """Read the owners by the names of their filters. Filters that were attached by hand have none.

    Raises Broken, and PingKillerError as ``Store.read``.
    """
    return read_checked(store, OWNERS, _checked_owners)


def _checked_owners(by_filter: dict[str, Any]) -> dict[str, str]:
    for name, owner in by_filter.items():
        interface, hook = hooks.split_name(name)
        named = 0 < len(os.fsencode(interface)) < _LONGEST_NAME and "\0" not in interface
        if not named or hook not in schema.HOOKS or not isinstance(owner, str):
            raise ValueError(f"{name}: {owner}")
    return by_filter


def plan_owner(
    store: Store, names: Iterable[str], *, owner: str, own_name: Callable[[str], str], absent: bool = False
) -> Edit:
    """Plan to note that an owner wants these filters, or with ``absent`` that this owner no longer does.

    ``own_name`` returns the present name of a filter: interfaces are renamed.
    """
    store.require_own()
    found = understood(lambda: owners(store))
    before = found or {}
    known = {own_name(name): other for name, other in before.items()}
    others = {name: other for name, other in known.items() if name not in names or other != owner}
    after = others if absent else {**known, **dict.fromkeys(names, owner)}
    return NoteEdit(store=store, name=OWNERS, found=found, before=before, after=after)


def owner_changes(edits: list[Edit], own_name: Callable[[str], str]) -> dict[str, str | None]:
    """Return the names of filters that get another owner, with the owner before, None if there was none."""
    changes: dict[str, str | None] = {}
    for edit in edits:
        if edit.name == OWNERS:
            before = {own_name(name): owner for name, owner in edit.before.items()}
            changes.update({name: before.get(name) for name, owner in edit.after.items() if before.get(name) != owner})
    return changes


def owned_by(edits: list[Edit], owner: str) -> list[str]:
    """Return the names of all filters that an owner wants after these edits."""
    after = (edit.after for edit in edits if edit.name == OWNERS)
    return sorted(name for owners_by_name in after for name, other in owners_by_name.items() if other == owner)
