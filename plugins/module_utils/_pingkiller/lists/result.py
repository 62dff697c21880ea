# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a change of a list, as front ends return it."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

from ..entries import addresses, claims
from ..entries.plan import Change, Demand, Plan, number_of_entries
from ..kept.edit import Edit
from ..kept.entry_notes import describe_entries
from .request import ListRequest

MAX_SHOWN = 1000  #: entries named in a result or a diff; the counts are always exact


class Outcome(NamedTuple):
    """What a change did to a list, or will do."""

    plan: Plan
    total: int  #: entries on the list after the change
    warnings: list[str]
    mended: bool = False  #: what an earlier run had left was put in order


def result_of(request: ListRequest, demand: Demand, outcome: Outcome) -> dict[str, Any]:
    """Return the module's result, as its documentation describes it."""
    plan = outcome.plan
    result: dict[str, Any] = {
        "changed": bool(plan) or outcome.mended,
        "count": outcome.total,
        "skipped_count": demand.requested.skipped,
        "warnings": [*demand.requested.notes, *outcome.warnings],
    }
    shown: dict[bytes, Change] = {}
    for name, changes in (("added", plan.added), ("updated", plan.updated), ("removed", plan.removed)):
        first = _first(changes, MAX_SHOWN)
        shown.update(first)
        result[name] = [addresses.display(key) for key in first]
        result[name + "_count"] = number_of_entries(changes)
    changing = number_of_entries(plan.added + plan.updated + plan.removed)
    return {**result, "diff": _diff(request.name, shown, changing)}


def with_kept(result: dict[str, Any], edits: list[Edit]) -> dict[str, Any]:
    """Return the result with the changes of what is restored at boot."""
    if result["changed"] or any(edits):  # in this order: comparing a copy with another takes longest
        result["changed"] = True
        for when in ("before", "after"):
            result["diff"][when] += "".join(describe_entries(edit, when) for edit in edits)
    return result


def _first(changes: list[Change], number: int) -> dict[bytes, Change]:
    """Return the first keys in the order of display, up to this number, with their changes."""
    found: dict[bytes, Change] = {}
    for change in changes:
        # The keys of exact addresses sort like their addresses. Comparing them without a function is quicker.
        order = addresses.sort_key if change.kind.startswith("network") else None
        found.update(dict.fromkeys(heapq.nsmallest(number, change.keys, order), change))
    return {key: found[key] for key in sorted(found, key=addresses.sort_key)[:number]}


def _diff(list_name: str, shown: dict[bytes, Change], changing: int) -> dict[str, str]:
    """Return the diff of the entries that change, ``changing`` of them: the rest of a list may be a million lines."""
    keys = sorted(shown, key=addresses.sort_key)[:MAX_SHOWN]
    more = f"... and {changing - MAX_SHOWN} more changed entries\n" if changing > MAX_SHOWN else ""
    before = [line for key in keys for line in claims.describe(key, shown[key].before.claims)]
    after = [line for key in keys for line in claims.describe(key, shown[key].after)]
    return {
        "before_header": list_name,
        "after_header": list_name,
        "before": "".join(line + "\n" for line in before) + more,
        "after": "".join(line + "\n" for line in after) + more,
    }
