# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a change of a list, as front ends return it."""

from __future__ import annotations

import heapq

from ..entries import addresses, claims
from ..entries.claims import Change, Demand, Plan
from ..kept.edit import Edit
from ..kept.entry_notes import describe_entries
from .request import ListRequest

MAX_SHOWN = 1000  #: entries named in a result or a diff; the counts are always exact


def with_kept(result: dict, kept: list[Edit]) -> dict:
    """The result with what changes of what is restored at boot."""
    if result["changed"] or any(kept):  # in this order: to compare a copy with another takes longest
        result["changed"] = True
        for when in ("before", "after"):
            result["diff"][when] += "".join(describe_entries(edit, when) for edit in kept)
    return result


def result_of(request: ListRequest, demand: Demand, plan: Plan, count: int, warnings: list[str]) -> dict:
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
