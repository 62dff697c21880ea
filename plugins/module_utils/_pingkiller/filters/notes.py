# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences on what a user would not expect of a change of filters."""

from __future__ import annotations

from collections.abc import Callable

from ..kept.edit import Edit
from ..kept.filter_notes import owner_changes
from ..kernel import bcc_package
from ..store import filter_programs, lost_pins
from ..store.pins import Pins
from . import options as options_module
from .options import FilterOptions
from .plan import Step, kept_options
from .request import FilterRequest


def plan_notes(pins: Pins, request: FilterRequest, steps: list[Step]) -> list[str]:
    """What a user would not expect of these steps, as sentences."""
    notes = pins.warnings()
    notes += [note for step in steps if not request.reset for note in _forgotten_notes(step, request)]
    notes += [_idle_note(step, names) for step in steps if (names := _idle(step, request))]
    notes += [_loopback_note(step.name) for step in steps if step.link.loopback]
    notes += [_monitor_note(step.name) for step in steps if step.needed and "monitor" in kept_options(step, request)]
    return notes + [
        note for step in steps if not step.before for note in filter_programs.goes_on_notes(pins, step.name)
    ]


def _forgotten_notes(step: Step, request: FilterRequest) -> list[str]:
    """Of the options that were not named and go, since they have no meaning any more."""
    had = step.noted.options
    return [
        f"the filter on {step.name} no longer has its {name}, which is for {options_module.purpose(name)} only"
        for name in options_module.GO_WITH
        if had.get(name) and not getattr(step.options, name) and name not in request.options
    ]


def _idle(step: Step, request: FilterRequest) -> list[str]:
    """The options that were named and that this filter has no use for. The role names all, so those at their default do not count."""
    options, defaults = step.options, FilterOptions()
    given = (name for name in options_module.OF_USE_WITH if name in request.options)
    return [
        n
        for n in given
        if getattr(options, n) != getattr(defaults, n) and not options_module.OF_USE_WITH[n].holds(options)
    ]


def _idle_note(step: Step, names: list[str]) -> str:
    needs = " and ".join(dict.fromkeys(options_module.OF_USE_WITH[name].said for name in names))
    return (
        f"of the filter on {step.name}, {', '.join(names)} {'have' if names[1:] else 'has'} no effect without {needs}"
    )


def _loopback_note(name: str) -> str:
    return (
        f"the filter on {name} sees only what the host sends to itself, and nothing that arrives from others: name the "
        f"interfaces that packets arrive on, or none for those of the default routes"
    )


def takeover_notes(
    pins: Pins, request: FilterRequest, steps: list[Step], kept: list[Edit], own_name: Callable[[str], str]
) -> list[str]:
    """Of filters that are there already and become the owner's with this run."""
    new = owner_changes(kept, own_name) if request.owner else {}
    there = [step for step in steps if step.before or lost_pins.lost(pins, step.link, step.name)]
    return [_takeover_note(step.name, new[step.name], request.owner) for step in there if step.name in new]


def _takeover_note(name: str, before: str | None, owner: str) -> str:
    whose = f"was {before}'s" if before else "had no owner, as one that was put there by hand"
    return f"the filter on {name} {whose}: it belongs to {owner} from now on, and goes when {owner} no longer names it"


def _monitor_note(name: str) -> str:
    return (
        f"the filter on {name} goes on to monitor only, so it drops nothing: give monitor=false, too, to have it drop"
    )


def fallback_note(interface: str, reason: str) -> str:
    return (
        f"{interface} runs in generic mode, which is slower, because the driver refused native mode: {reason}; mode auto tries "
        f"again once the MTU is smaller, or if you run xdp_filter with mode=native"
    )


def unguarded_note(name: str, reason: str) -> str:
    return f"{name} was without a filter for a moment while its mode was changed, because tc cannot stand in here: {reason}"


def reminders(steps: list[Step]) -> list[str]:
    """On every run, why a filter is not in the mode that ``auto`` would rather have."""
    reasons = {step.name: step.noted.mode_reason for step in steps}
    return [fallback_note(name, reason) for name, reason in reasons.items() if reason]


def prediction_warnings(steps: list[Step]) -> list[str]:
    if any(step.needed for step in steps) and not bcc_package.directory():
        return ["this host has no BCC yet, so the run itself needs the package python3-bpfcc or python3-bcc first"]
    return reminders([step for step in steps if not step.switches])
