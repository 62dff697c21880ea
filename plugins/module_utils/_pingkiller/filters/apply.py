# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan: attach filters, replace them, and move all of them to new maps."""

from __future__ import annotations

import os
import time

from .. import VERSION
from ..errors import PingKillerError
from ..kernel import bcc_package, bpf, schema, tc
from ..store import entry_list, filter_meta, filter_programs, host_maps, limits, migration, recovery
from ..store.pins import Pins
from . import attaching
from .attaching import Placed
from .build import Built, build
from .clsact import note_clsact, remove_clsact
from .notes import fallback_note, reminders, unguarded_note
from .plan import Plan, Step, steps_of_others
from .request import FilterRequest


def apply(pins: Pins, request: FilterRequest, plan: Plan) -> list[str]:
    """Carry out a plan. Returns the warnings. A first set-up that fails leaves nothing behind."""
    todo = plan.needed
    if not todo:
        return reminders(plan.steps)
    bcc_package.version()  # fail before anything is made if BCC is missing
    existed = pins.exists()
    made = [step.name for step in todo if not os.path.isdir(pins.filter_pin(step.name))]
    try:
        stays = reminders([step for step in plan.steps if not step.needed])
        if plan.replaces_maps:
            return stays + _move(pins, request.sources, todo, capacity=plan.new_capacity)
        host_maps.create(pins, request.capacity or limits.DEFAULT_CAPACITY)
        return stays + _renew(pins, request.sources, todo)
    except BaseException:
        _undo(pins, existed, made)
        raise


def _renew(pins: Pins, sources: dict[str, str], steps: list[Step]) -> list[str]:
    """Compile filters against the maps in use, and attach them. Returns the warnings."""
    built = [build(pins, sources, step) for step in steps]
    notes = [note for step, each in zip(steps, built) for note in _put(pins, step, each)]
    recovery.settle_maps(pins)
    return notes


def complete_interrupted_move(pins: Pins, request: FilterRequest) -> list[str]:
    """Make filters that read other lists use the current ones. Returns what was done, as sentences."""
    others = recovery.reading_others(pins)
    if not (recovery.unfinished(pins) or others):
        return []
    for name in schema.LISTS if others else ():
        with entry_list.opened_list(pins, name) as entries:
            if entries is not None:
                entries.settle(anew=True)
    planned = steps_of_others(pins, request, named=(), bcc_version=bcc_package.version(), rebuild=False)
    steps = [step for step in planned if step.needed]
    notes = _renew(pins, request.sources, steps)
    done = "a change of all maps that was interrupted has been completed"
    if others:
        done = "filters that read other lists read those pinned here now; what only those others held is on none"
    return [*notes, done] if steps else notes


def _undo(pins: Pins, existed: bool, made: list[str]) -> None:
    """Remove the pins of new filters that do not run, and new maps that are not in use."""
    pins.new.remove_all()
    failed = [name for name in made if not filter_programs.running(pins, name)]
    for name in failed:
        remove_clsact(pins, name)
        pins.remove_filter(name)
    if not existed and not pins.filters():
        pins.remove_all()


def _put(pins: Pins, step: Step, built: Built) -> list[str]:
    """Attach or replace a program, store its notes in the meta map, and check the result. Returns the warnings."""
    keeps_clsact = step.options.hook != schema.XDP  # XDP needs clsact only while its mode changes
    with built.meta:
        made_clsact = note_clsact(pins, step, built.meta)
        try:
            placed = _place(step, built)
        finally:
            if made_clsact and not keeps_clsact:
                tc.remove_clsact(step.link.ifindex)
        identity = bpf.program_id(built.program.fd)
        noted = _described(step)._replace(
            mode=placed.mode,
            mode_reason=placed.refused,
            program_id=identity,
            base=pins.base,
            made_clsact=made_clsact and keeps_clsact,
        )
        filter_meta.store(built.meta, noted)
    found = filter_programs.running(pins, step.name)
    if not found or found.info.id != identity:
        raise PingKillerError(
            f"another program took the place of the filter on {step.name!r} just after it was attached: "
            f"find out who manages XDP there, then run again"
        )
    notes = [fallback_note(step.name, placed.refused)] if placed.refused else []
    return notes + ([unguarded_note(step.name, placed.unguarded)] if placed.unguarded else [])


def _place(step: Step, built: Built) -> Placed:
    hook, mode = step.options.hook, step.options.mode
    if built.switch:
        return attaching.switch_mode(step.link, built.switch, mode=mode, old=step.old, left=step.left)
    if not step.old:
        return attaching.attach(step.link, built.program, hook=hook, mode=mode)
    attaching.replace(step.link, built.program, step.old)
    return Placed(step.old.mode, step.noted.mode_reason if mode == "auto" else None)


def _described(step: Step) -> filter_meta.Noted:
    """Return the notes of a filter that are known before it is attached."""
    return filter_meta.Noted(
        schema=schema.SCHEMA_VERSION,
        version=VERSION,
        build_id=step.build_id,
        bcc_version=step.bcc_version,
        options=step.options.as_dict(),
        attached_at=int(time.time()),
        mtu=step.link.mtu,
        lent=step.lent,
    )


def _move(pins: Pins, sources: dict[str, str], todo: list[Step], *, capacity: int) -> list[str]:
    """Replace all maps: make new ones, compile all filters, swap, replace the programs, and add the last old counts."""
    if recovery.unfinished(pins):
        raise PingKillerError(
            f"max_entries={capacity} cannot be set while an earlier change of max_entries is incomplete: run xdp_filter once "
            f"without max_entries for each interface, then again with it"
        )
    new = migration.prepare(pins, capacity)
    built = [build(new, sources, step) for step in todo]
    pins.swap()
    notes = [note for step, each in zip(todo, built) for note in _put(pins, step, each)]
    recovery.settle_maps(pins)
    return notes
