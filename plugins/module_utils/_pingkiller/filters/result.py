# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a change of filters, as front ends return it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..kept.edit import Edit
from ..kept.filter_owners import owned_by
from ..kept.filter_plan import describe_filters
from ..store.filter_meta import RunningFilter
from .options import FilterOptions
from .plan import Plan, Step
from .request import FilterRequest

Result = dict[str, Any]  #: becomes JSON; its keys are those of the module's RETURN


def with_kept(result: Result, kept: list[Edit], owner: str | None = None) -> Result:
    """Add to a result the changes of owners and of what is restored at boot, and all filters that ``owner`` wants."""
    if owner:
        result["owned"] = owned_by(kept, owner)
    if any(kept):
        result["changed"] = True
        for when in ("before", "after"):
            at_boot = describe_filters(kept, when)
            owners = {"owners": at_boot.pop("owners")} if "owners" in at_boot else {}
            result["diff"][when].update({"at_boot": at_boot, **owners})
    return result


def result_of(
    plan: Plan, request: FilterRequest, notes: list[str], *, after: Mapping[str, RunningFilter | None]
) -> Result:
    """Return the result for the requested filters. Its diff also shows the other filters that are replaced."""
    before = {step.name: _shown_before(step) for step in plan.steps}
    wanted = {step.name: _shown_wanted(step) for step in plan.steps}
    return {
        "changed": bool(plan.needed),
        "filters": {s.name: _shown_after(s, request, after.get(s.name)) for s in plan.steps if s.name in plan.asked},
        "max_entries": plan.new_capacity,
        "diff": {
            "before": {"filters": before, "max_entries": plan.capacity},
            "after": {"filters": wanted, "max_entries": plan.new_capacity},
        },
        "warnings": notes,
    }


def _shown_before(step: Step) -> Result:
    if not step.before:
        return {"foreign_program": step.old.program_id} if step.old else {}
    options = step.noted.options
    shown = {name: options[name] for name in _shown(step) if name in options}
    return {"build_id": step.noted.build_id, **shown, **_loan(step.noted.lent)}


def _shown_wanted(step: Step) -> Result:
    """Return the new state for the diff. Shows the build id only if there is an old one to compare it with."""
    options = step.options.as_dict()
    shown = {name: options[name] for name in _shown(step)}
    return {**({"build_id": step.build_id} if step.before else {}), **shown, **_loan(step.lent)}


def _loan(lent: Mapping[str, Any]) -> Result:
    """Return what ``pingkiller top`` puts back when it ends: whoever sets such an option to the value it has ends that."""
    return {"put_back_later": dict(lent)} if lent else {}


def _shown(step: Step) -> list[str]:
    """Return the options for the diff: those that change, and those that stay and differ from their defaults."""
    options, defaults = step.options.as_dict(), FilterOptions().as_dict()
    before = step.noted.options
    return [name for name in options if not options[name] == before.get(name) == defaults[name]]


def _shown_after(step: Step, request: FilterRequest, now: RunningFilter | None) -> Result:
    shown: Result = {"build_id": step.build_id, "options": step.options.as_dict(), "kept": step.kept_options(request)}
    if now:
        info = now.info
        shown.update(mode=now.mode, program={"id": info.id, "name": info.name, "tag": info.tag})
    return shown
