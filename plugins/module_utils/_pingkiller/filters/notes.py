# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about changes of filters that a user would not expect."""

from __future__ import annotations

from ..kept.filter_owners import owner_changes
from ..kernel import bcc_package
from ..store import filter_programs, lost_pins
from ..store.pins import Pins
from .options import OPTIONS, FilterOptions, purpose
from .plan import Plan, Step
from .request import FilterRequest


def plan_notes(pins: Pins, request: FilterRequest, plan: Plan) -> list[str]:
    """Return the warnings about a plan, as sentences."""
    steps = plan.steps
    notes = pins.warnings()
    notes += [note for step in steps if not request.reset for note in _forgotten_notes(step, request)]
    notes += [_idle_note(step, names) for step in steps if (names := _idle(step, request))]
    notes += [_loopback_note(step.name) for step in steps if step.link.loopback]
    notes += [_monitor_note(step.name) for step in steps if step.needed and "monitor" in step.kept_options(request)]
    new = [step.name for step in steps if not step.before]
    notes += [note for name in new for note in filter_programs.goes_on_notes(pins, name)]
    return notes + _takeover_notes(pins, request.owner, plan)


def _forgotten_notes(step: Step, request: FilterRequest) -> list[str]:
    """Return a sentence for each option that is reset without being named, because another option has changed."""
    had = step.noted.options
    return [
        f"the filter on {step.name} no longer has its {name}, which is for {purpose(name)} only"
        for name, option in OPTIONS.items()
        if option.only_for and had.get(name) and not getattr(step.options, name) and name not in request.options
    ]


def _idle(step: Step, request: FilterRequest) -> list[str]:
    """Return the named options that have no effect. The role names all options, so defaults do not count."""
    idle = step.options.idle(name for name in OPTIONS if name in request.options)
    return [name for name in idle if getattr(step.options, name) != getattr(FilterOptions(), name)]


def _idle_note(step: Step, names: list[str]) -> str:
    needs = " and ".join(dict.fromkeys(use.needs for name in names if (use := OPTIONS[name].use)))
    return (
        f"of the filter on {step.name}, {', '.join(names)} {'have' if names[1:] else 'has'} no effect without {needs}"
    )


def _loopback_note(name: str) -> str:
    return (
        f"the filter on {name} sees only what the host sends to itself, and nothing that arrives from others: name the "
        f"interfaces that packets arrive on, or none for those of the default routes"
    )


def _takeover_notes(pins: Pins, owner: str | None, plan: Plan) -> list[str]:
    """Return a sentence for each existing filter that this run assigns to the owner."""
    if owner is None:
        return []
    new = owner_changes(plan.kept, plan.own_name)
    there = [step.name for step in plan.steps if step.before or lost_pins.lost(pins, step.link, step.name)]
    return [_takeover_note(name, new[name], owner) for name in there if name in new]


def _takeover_note(name: str, before: str | None, owner: str) -> str:
    whose = f"was {before}'s" if before else "had no owner, as one that was put there by hand"
    return f"the filter on {name} {whose}: it belongs to {owner} from now on, and goes when {owner} no longer names it"


def _monitor_note(name: str) -> str:
    return f"the filter on {name} still only monitors, so it drops nothing: give monitor=false, too, to have it drop"


def fallback_note(interface: str, reason: str) -> str:
    return (
        f"{interface} runs in generic mode, which is slower, because the driver refused native mode: {reason}; mode auto tries "
        f"again once the MTU is smaller, or if you run xdp_filter with mode=native"
    )


def unguarded_note(name: str, reason: str) -> str:
    return f"{name} was without a filter for a moment while its mode was changed, because tc cannot stand in here: {reason}"


def reminders(steps: list[Step]) -> list[str]:
    """Return the reason why a filter is not in native mode, which ``auto`` prefers. Repeated on every run."""
    reasons = {step.name: step.noted.mode_reason for step in steps}
    return [fallback_note(name, reason) for name, reason in reasons.items() if reason]


def prediction_warnings(steps: list[Step]) -> list[str]:
    """Return the warnings of a run that check mode can predict."""
    if any(step.needed for step in steps) and not bcc_package.directory():
        packages = " or ".join(dict.fromkeys(bcc_package.PACKAGES.values()))
        return [f"this host has no BCC yet, so the run itself needs the package {packages} first"]
    return reminders([step for step in steps if not step.switches])
