# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put filters on interfaces and change them."""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple

from .. import VERSION
from ..errors import PingKillerError
from ..kernel import access, bcc_package, bpf, compiler, netlink, schema, tc
from ..store import entry_list, filter_meta, filter_programs, hooks, host_maps, limits, lost_pins, migration, recovery
from ..store import pins as pins_module
from ..store.lock import check_timeout, host_lock
from ..store.pins import Pins
from . import attaching
from .clsact import note_clsact, remove_clsact
from .notes import fallback_note, plan_notes, prediction_warnings, reminders, takeover_notes, unguarded_note
from .options import FilterOptions
from .plan import Step, ask, own_names, plan_kept, plan_steps, replaces_maps, steps_of_others, usable_links
from .request import FilterRequest
from .result import result_of, with_kept


class Built(NamedTuple):
    """What a step needs, compiled and loaded."""

    program: object
    meta: bpf.Map
    switch: attaching.Switch | None


def present(base: str, request: FilterRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Make sure that the filters run as asked; the module's result. Raises PingKillerError before anything is touched."""
    check_timeout(lock_timeout)
    access.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    links = usable_links(request)
    if check:
        pins.require_ours()
        return _predict(pins, request, links)
    with host_lock(lock_timeout):
        asked = ask(pins.in_use(), request, links)
        own_name = own_names(pins.in_use())
        mended = recovery.settle(pins, tuple(asked)) + _complete(pins, request)
        steps, capacity = plan_steps(pins, request, asked)
        kept = plan_kept(pins, request, asked, capacity, own_name)
        notes = mended + plan_notes(pins, request, steps) + takeover_notes(pins, request, steps, kept, own_name)
        notes += _apply(pins, request, steps, capacity)
        for edit in kept:
            edit.write()
        result = result_of(
            steps, asked, capacity, request, {s.name: filter_meta.running(pins, s.name) for s in steps}, notes
        )
        return with_kept({**result, "changed": result["changed"] or bool(mended)}, kept, request.owner)


def _predict(pins: Pins, request: FilterRequest, links: list[netlink.Link]) -> dict:
    to_mend, pins = recovery.unfinished(pins) or bool(recovery.reading_others(pins)), pins.in_use()
    asked = ask(pins, request, links)
    steps, capacity = plan_steps(pins, request, asked)
    own_name = own_names(pins)
    kept = plan_kept(pins, request, asked, capacity, own_name)
    notes = plan_notes(pins, request, steps) + takeover_notes(pins, request, steps, kept, own_name)
    result = result_of(steps, asked, capacity, request, {}, notes + prediction_warnings(steps))
    return with_kept({**result, "changed": result["changed"] or to_mend}, kept, request.owner)


# Applying


def _apply(pins: Pins, request: FilterRequest, steps: list[Step], capacity: int | None) -> list[str]:
    """Carry the steps out; the warnings. A first set-up that fails leaves nothing behind."""
    todo = [step for step in steps if step.needed]
    if not todo:
        return reminders(steps)
    bcc_package.version()  # where BCC is missing, say so before anything is made
    existed = pins.exists()
    made = [step.name for step in todo if not os.path.isdir(pins.filter_pin(step.name))]
    try:
        stays = reminders([step for step in steps if not step.needed])
        if replaces_maps(pins, request, capacity):
            return stays + _move(pins, request, todo, request.capacity or capacity)
        host_maps.create(pins, request.capacity or limits.DEFAULT_CAPACITY)
        return stays + _renew(pins, request, todo)
    except BaseException:
        _undo(pins, existed, made)
        raise


def _renew(pins: Pins, request: FilterRequest, steps: list[Step]) -> list[str]:
    """Compile filters against the maps in use, and put them in place; the warnings."""
    built = [_build(pins, request, step) for step in steps]
    notes = [note for step, each in zip(steps, built) for note in _put(pins, step, each)]
    recovery.settle_maps(pins)
    return notes


def _complete(pins: Pins, request: FilterRequest) -> list[str]:
    """Bring the filters that read other lists, as after an interrupted move, to those in use; what was done, as sentences."""
    others = recovery.reading_others(pins)
    if not (recovery.unfinished(pins) or others):
        return []
    for name in schema.LISTS if others else ():
        with entry_list.opened_list(pins, name) as entries:
            if entries is not None:
                entries.settle(anew=True)
    steps = [
        each for each in steps_of_others(pins, request, set(), bcc_package.version(), rebuild=False) if each.needed
    ]
    notes = _renew(pins, request, steps)
    done = "a change of all maps that was interrupted has been completed"
    if others:
        done = "filters that read other lists read those pinned here now; what only those others held is on none"
    return [*notes, done] if steps else notes


def _undo(pins: Pins, existed: bool, made: list[str]) -> None:
    """Remove the pins made for filters that did not come to run, and maps that did not come into use."""
    pins.new.remove_all()
    failed = [name for name in made if not filter_programs.running(pins, name)]
    for name in failed:
        remove_clsact(pins, name)
        pins.remove_filter(name)
    if not existed and not pins.filters():
        pins.remove_all()


def _build(pins: Pins, request: FilterRequest, step: Step) -> Built:
    """Make the maps that are missing, compile, and tie to each program also those that only user space reads."""
    pins.make_directory(pins.filter_pin(step.name))
    for name, info in _filter_maps(step.options).items():
        _drop_other_size(pins, step.name, name, info)
        pins.ensure(pins.filter_pin(step.name, name), info, prefix=schema.FILTER_PREFIX).close()
    if step.options.events != "none":
        pins.ensure(pins.host_pin("events"), schema.EVENTS_MAP).close()
    directories = {
        "HOST_PINS": pins.base,
        "LIST_PINS": pins.host_pin(pins_module.CURRENT),
        "FILTER_PINS": pins.filter_pin(step.name),
    }
    defines = {**step.defines, **{name: json.dumps(path) for name, path in directories.items()}}

    def build(hook: str = step.options.hook, **special: str):
        program = compiler.compile_program(request.sources, {**defines, **special}, hook)
        lost_pins.bind(pins, step.name, program.fd)
        return program

    program, switch = build(), None
    if step.switches:
        switch = attaching.Switch(build(SWITCHING="1"), build(hooks.STAND_IN_HOOK, SWITCHING="1", HOOK_TC="1"), program)
    return Built(program, pins.ensure(pins.filter_pin(step.name, "meta"), schema.FILTER_MAPS["meta"]), switch)


def _filter_maps(options: FilterOptions) -> dict[str, bpf.MapInfo]:
    """The maps that a filter with these options takes."""
    wanted = dict(schema.FILTER_MAPS)
    if options.timing_sample:
        wanted["timing"] = schema.TIMING_MAP
    if options.events != "none":
        wanted["event_budget"] = schema.EVENT_BUDGET_MAP
    if options.ratelimit_pps:
        wanted["sources"] = schema.sources_map(options.ratelimit_sources)
    return wanted


def _drop_other_size(pins: Pins, filter_name: str, name: str, info: bpf.MapInfo) -> None:
    """Another size starts a new count."""
    path = pins.filter_pin(filter_name, name)
    existing = pins.open_map(path, info, any_size=True) if name in schema.SIZED_MAPS else None
    if existing:
        with existing:
            if existing.info != info:
                os.unlink(path)


def _put(pins: Pins, step: Step, built: Built) -> list[str]:
    """Attach or replace, note it in the meta map, and check what the kernel has now; the warnings."""
    keeps_clsact = step.options.hook != hooks.XDP  # which needs it for no longer than its mode is changed
    with built.meta:
        made_clsact = note_clsact(pins, step, built.meta)
        try:
            mode, reason, warning = _attach(step, built)
        finally:
            if made_clsact and not keeps_clsact:
                tc.remove_clsact(step.link.ifindex)
        identity = bpf.program_id(built.program.fd)
        noted = _described(step)._replace(mode=mode, mode_reason=reason, program_id=identity, base=pins.base)
        filter_meta.store(built.meta, noted._replace(made_clsact=made_clsact and keeps_clsact))
    found = filter_programs.running(pins, step.name)
    if not found or found.info.id != identity:
        raise PingKillerError(
            f"another program took the place of the filter on {step.name!r} just after it was attached: "
            f"find out who manages XDP there, then run again"
        )
    return [note for note in (fallback_note(step.name, reason) if reason else None, warning) if note]


def _attach(step: Step, built: Built) -> tuple[str, str | None, str | None]:
    """The mode that it runs in now; if that is not the first choice, the driver's reason; a warning, if there is one."""
    hook, mode = step.options.hook, step.options.mode
    if built.switch:
        now, reason, unguarded = attaching.switch_mode(step.link, built.switch, mode, step.old, step.left)
        return now, reason, unguarded_note(step.name, unguarded) if unguarded else None
    if not step.old:
        return (*attaching.attach(step.link, hook, built.program, mode), None)
    attaching.replace(step.link, built.program, step.old)
    return step.old.mode, step.noted.mode_reason if mode == "auto" else None, None


def _described(step: Step) -> filter_meta.Noted:
    """What is known of a filter before it is attached."""
    return filter_meta.Noted(
        schema=schema.SCHEMA_VERSION,
        version=VERSION,
        build_id=step.build_id,
        bcc_version=step.bcc_version,
        options=step.options.as_dict(),
        attached_at=int(time.time()),
        mtu=step.link.mtu,
    )


def _move(pins: Pins, request: FilterRequest, todo: list[Step], capacity: int) -> list[str]:
    """Replace all maps: make them, compile every filter against them, swap, replace the programs, bring the last counts over."""
    if recovery.unfinished(pins):
        raise PingKillerError(
            f"max_entries={capacity} cannot be set before an interrupted change is complete, and a filter whose options are not "
            f"known still reads the lists of before: run xdp_filter for each interface without max_entries first"
        )
    new = migration.prepare(pins, capacity)
    built = [_build(new, request, step) for step in todo]
    pins.swap()
    notes = [note for step, each in zip(todo, built) for note in _put(pins, step, each)]
    recovery.settle_maps(pins)
    return notes
