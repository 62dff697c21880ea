# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put filters on interfaces, change them, take them off.

The state of the kernel decides what is to be done: which program is attached, whether it counts in our counters, and
the build id in the filter's ``meta`` map. Planning reads only; everything that can be refused is refused there.
"""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple

from . import VERSION, bpf, compiler, filter_meta, hooks, lists, migration, netlink, recovery, schema, state, tc
from . import options as options_module
from . import pins as pins_module
from .errors import PingKillerError
from .lock import check_timeout, host_lock
from .options import FilterOptions
from .pins import Pins
from .wanted import Edit, Store, describe_filters, plan_filters, plan_forgetting


class FilterRequest(NamedTuple):
    """What a user asks for. No interfaces: those of the default route, or for removal all that have a filter."""

    interfaces: tuple[str, ...]
    options: FilterOptions
    sources: dict
    capacity: int | None = None
    force: bool = False
    persist: bool | None = None  #: None: what is restored at boot is left alone
    store: Store | None = None

    def names(self) -> tuple[str, ...]:
        """Of the filters."""
        interfaces = self.interfaces or tuple(netlink.default_interfaces())
        return tuple(hooks.filter_name(interface, self.options.hook) for interface in dict.fromkeys(interfaces))


class Step(NamedTuple):
    """What one filter needs."""

    name: str
    link: netlink.Link
    options: FilterOptions
    defines: dict
    bcc_version: str
    build_id: str
    before: dict | None  #: our filter as it runs, see ``filter_meta.running``
    old: hooks.Attached | None  #: the program to replace, ours or, with force, a foreign one
    left: hooks.Attached | None  #: what stands in for it since a change of its mode was interrupted
    needed: bool

    @property
    def switches(self) -> bool:
        """Whether the mode of an XDP program is to be changed, or was when the run was interrupted."""
        if self.options.hook != hooks.XDP:
            return False
        return bool(self.left or (self.old and not _mode_settled(self.before or {"mode": self.old.mode}, self.options)))


class Built(NamedTuple):
    """What a step needs, compiled and loaded."""

    program: object
    meta: bpf.Map
    switch: hooks.Switch | None


def present(base: str, request: FilterRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Make sure that the filters run as asked; the module's result. Raises PingKillerError before anything is touched."""
    check_timeout(lock_timeout)
    state.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    if check:
        unfinished, pins = recovery.unfinished(pins), pins.in_use()
        steps, capacity = _plan(pins, request)
        kept = _plan_kept(pins, request, steps, capacity)
        result = _result(steps, capacity, request, {}, _prediction_warnings(steps))
        return _with_kept({**result, "changed": result["changed"] or unfinished}, kept)
    with host_lock(lock_timeout):
        mended = recovery.settle(pins, request.names()) + _complete(pins, request)
        steps, capacity = _plan(pins, request)
        kept = _plan_kept(pins, request, steps, capacity)
        notes = mended + _apply(pins, request, steps, capacity)
        for edit in kept:
            edit.write()
        result = _result(steps, capacity, request, {s.name: filter_meta.running(pins, s.name) for s in steps}, notes)
        return _with_kept({**result, "changed": result["changed"] or bool(mended)}, kept)


# Planning


def _plan(pins: Pins, request: FilterRequest) -> tuple[list[Step], int | None]:
    """The steps, and the lists' capacity at present (None if there are none)."""
    interfaces = request.interfaces or tuple(netlink.default_interfaces())
    if not interfaces:
        raise PingKillerError("this host has no default route to take the interface from: name one with interface")
    capacity = _capacity(pins, request)
    version = _bcc_version_or_none()
    move = _moves(pins, request, capacity)
    steps = [_step(pins, request, name, request.options, version, move) for name in dict.fromkeys(interfaces)]
    if move:
        steps += _others(pins, request, {step.name for step in steps}, version)
    return steps, capacity


def _moves(pins: Pins, request: FilterRequest, capacity: int | None) -> bool:
    """Whether all maps are to be replaced: for another capacity, or because they are of an earlier schema."""
    earlier = state.schema_number(pins) != schema.SCHEMA_VERSION
    return capacity is not None and (earlier or request.capacity not in (None, capacity))


def _bcc_version_or_none() -> str | None:
    """Check mode works before BCC is installed; compiling is what complains."""
    return compiler.bcc_version() if compiler.bcc_directory() else None


def _capacity(pins: Pins, request: FilterRequest) -> int | None:
    """The lists' capacity. Raises PingKillerError if they hold more than the request leaves room for."""
    if request.capacity is not None and not 0 < request.capacity <= lists.MAX_CAPACITY:
        raise PingKillerError(f"max_entries={request.capacity} is out of range: give 1 to {lists.MAX_CAPACITY}")
    capacity = None
    for name in schema.LISTS:
        with state.opened_list(pins, name) as entries:
            if entries is None:
                continue
            capacity = entries.capacity
            if request.capacity is not None and entries.count > request.capacity:
                raise PingKillerError(
                    f"max_entries={request.capacity} is less than the {entries.count} entries of the {name}: "
                    f"remove entries first or give {entries.count} or more"
                )
    return capacity


def _others(pins: Pins, request: FilterRequest, named: set, version: str | None, rebuild: bool = True) -> list[Step]:
    """The host's other filters: new lists mean new programs for them too, with the options that they have."""
    steps = []
    for name in pins.filters():
        meta = filter_meta.running(pins, name)
        if name not in named and meta and "options" in meta:
            interface = hooks.split_name(name)[0]
            steps.append(_step(pins, request, interface, FilterOptions.from_dict(meta["options"]), version, rebuild))
    return steps


def _step(pins: Pins, request: FilterRequest, interface: str, options, version: str | None, rebuild: bool) -> Step:
    link = _usable_link(interface)
    name = hooks.filter_name(interface, options.hook)
    _check_maps(pins, name)
    before = filter_meta.running(pins, name)
    defines = options_module.definitions(options)
    # Without BCC, what it will be once it is installed is not known; most likely what compiled the filter that runs.
    version = version or (before or {}).get("bcc_version", "none")
    build_id = options_module.build_id(request.sources, defines, version)
    left = state.stand_in(pins, name)
    old = _to_replace(pins, link, name, before, request.force)
    same = before is not None and before.get("build_id") == build_id and before["current_lists"]
    needed = (
        rebuild or left or not same or not _mode_settled(before, options) or before.get("options") != options.as_dict()
    )
    return Step(name, link, options, defines, version, build_id, before, old, left, bool(needed))


def _check_maps(pins: Pins, name: str) -> None:
    """Raises PingKillerError if what is pinned for a filter is not what it takes."""
    for map_name, info in schema.of_schema(schema.FILTER_MAPS, state.schema_number(pins)).items():
        found = pins.open(pins.filter(name, map_name), info)
        if found:
            found.close()


def _to_replace(pins: Pins, link: netlink.Link, name: str, before: dict | None, force: bool) -> hooks.Attached | None:
    """The program in whose place the new one comes. Raises PingKillerError if it is somebody else's, without force."""
    hook = hooks.split_name(name)[1]
    if before:
        stands_in = hook == hooks.XDP and before["attached"].classifier
        return None if stands_in else before["attached"]
    lost = recovery.lost(pins, link, name)
    return lost or _foreign(link, hook, force)


def _usable_link(name: str) -> netlink.Link:
    link = netlink.link(name)
    if link is None:
        existing = ", ".join(sorted(each.name for each in netlink.links()))
        raise PingKillerError(f"interface {name!r} does not exist on this host: use one of {existing}")
    if not link.ethernet:
        raise PingKillerError(
            f"interface {name!r} carries no Ethernet frames: attach the filter to the Ethernet interface below it"
        )
    return link


def _foreign(link: netlink.Link, hook: str, force: bool) -> hooks.Attached | None:
    """The program of somebody else that force lets us replace. Raises PingKillerError without force.

    On tc, programs live side by side, so nobody is in the way.
    """
    if hook != hooks.XDP or not link.programs:
        return None
    found = hooks.programs(link, hook)[0]
    info = state.program_info(found.program_id)
    hint = "; it may be a filter with another base" if info and info.name == compiler.FUNCTION else ""
    described = f"id {found.program_id}" + (f", name {info.name or '(none)'}, tag {info.tag}" if info else "")
    if not force:
        raise PingKillerError(
            f"interface {link.name!r} already has an XDP program that is not PingKiller's ({described}, {found.mode} mode{hint}): "
            f"it was left alone; remove it, set force: true to replace it, or use hook: tc_ingress beside it"
        )
    return found


def _mode_settled(before: dict, options: FilterOptions) -> bool:
    """Whether the mode that runs is the one asked for. ``auto`` that ended in generic mode is not tried again."""
    if options.hook != hooks.XDP:
        return True
    if options.mode == "auto":
        return before["mode"] == "native" or before.get("options", {}).get("mode") == "auto"
    return before["mode"] == options.mode


def _plan_kept(pins: Pins, request: FilterRequest, steps: list[Step], capacity: int | None) -> list[Edit]:
    """What changes of what is restored at boot. The filters not named that a change of capacity takes along stay as they are."""
    if request.persist is None or request.store is None:
        return []
    options = {**request.options.as_dict(), "force": request.force}
    interfaces = request.interfaces or netlink.default_interfaces()
    asked = [step.name for step in steps if step.link.name in interfaces and step.options.hook == request.options.hook]
    about_host = {"base": pins.base, "max_entries": _final_capacity(request, capacity)}
    return plan_filters(request.store, about_host, dict.fromkeys(asked, options if request.persist else None))


def _with_kept(result: dict, kept: list[Edit]) -> dict:
    """The result with what changes of what is restored at boot."""
    if any(kept):
        result["changed"] = True
        for when in ("before", "after"):
            result["diff"][when]["at_boot"] = describe_filters(kept, when)
    return result


# Applying


def _apply(pins: Pins, request: FilterRequest, steps: list[Step], capacity: int | None) -> list[str]:
    """Carry the steps out; the warnings. A first set-up that fails leaves nothing behind."""
    todo = [step for step in steps if step.needed]
    if not todo:
        return _reminders(steps)
    compiler.bcc_version()  # where BCC is missing, say so before anything is made
    existed = pins.exists()
    made = [step.name for step in todo if not os.path.isdir(pins.filter(step.name))]
    try:
        if _moves(pins, request, capacity):
            return _move(pins, request, todo, request.capacity or capacity)
        state.create(pins, request.capacity or lists.DEFAULT_CAPACITY)
        return _renew(pins, request, todo)
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
    """Bring the filters that read the lists of before an interrupted move to those in use; what was done, as sentences."""
    if not recovery.unfinished(pins):
        return []
    steps = [each for each in _others(pins, request, set(), compiler.bcc_version(), rebuild=False) if each.needed]
    notes = _renew(pins, request, steps)
    return [*notes, "a change of all maps that was interrupted has been completed"] if steps else notes


def _undo(pins: Pins, existed: bool, made: list[str]) -> None:
    """Remove the pins made for filters that did not come to run, and maps that did not come into use."""
    pins.next.remove_all()
    failed = [name for name in made if not state.running(pins, name)]
    for name in failed:
        _remove_clsact(pins, name)
        pins.remove_filter(name)
    if not existed and not pins.filters():
        pins.remove_all()


def _build(pins: Pins, request: FilterRequest, step: Step) -> Built:
    """Make the maps that are missing, compile, and tie to each program also those that only user space reads."""
    pins.make_directory(pins.filter(step.name))
    for name, info in _filter_maps(step.options).items():
        _drop_other_size(pins, step.name, name, info)
        pins.ensure(pins.filter(step.name, name), info, prefix="filter_").close()
    if step.options.events != "none":
        pins.ensure(pins.host("events"), schema.EVENTS_MAP).close()
    directories = {
        "HOST_PINS": pins.base,
        "LIST_PINS": pins.host(pins_module.CURRENT),
        "FILTER_PINS": pins.filter(step.name),
    }
    defines = {**step.defines, **{name: json.dumps(path) for name, path in directories.items()}}

    def build(hook: str = step.options.hook, **special: str):
        program = compiler.compile_program(request.sources, {**defines, **special}, hook)
        recovery.bind(pins, step.name, program.fd)
        return program

    program, switch = build(), None
    if step.switches:
        switch = hooks.Switch(build(SWITCHING="1"), build(hooks.STAND_IN_HOOK, SWITCHING="1", HOOK_TC="1"), program)
    return Built(program, pins.ensure(pins.filter(step.name, "meta"), schema.FILTER_MAPS["meta"]), switch)


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
    """The sources of the rate limit are the one map whose size an option sets: another size starts a new count."""
    existing = pins.open(pins.filter(filter_name, name)) if name == "sources" else None
    if existing:
        with existing:
            if existing.info._replace(max_entries=info.max_entries) == info != existing.info:
                os.unlink(pins.filter(filter_name, name))


def _put(pins: Pins, step: Step, built: Built) -> list[str]:
    """Attach or replace, note it in the meta map, and check what the kernel has now; the warnings."""
    keeps_clsact = step.options.hook != hooks.XDP  # which needs it for no longer than its mode is changed
    with built.meta:
        made_clsact = _note_clsact(pins, step, built.meta)
        try:
            mode, reason, warning = _attach(step, built)
        finally:
            if made_clsact and not keeps_clsact:
                tc.remove_clsact(step.link.index)
        identity = bpf.program_id(built.program.fd)
        noted = {"mode": mode, "mode_reason": reason, "program_id": identity, "base": pins.base}
        _write_meta(step, built.meta, {**noted, "made_clsact": made_clsact and keeps_clsact})
    found = state.running(pins, step.name)
    if not found or found.info.id != identity:
        raise PingKillerError(
            f"another program took the place of the filter on {step.name!r} just after it was attached: "
            f"find out who manages XDP there, then run again"
        )
    return [note for note in (_fallback_note(step.name, reason) if reason else None, warning) if note]


def _note_clsact(pins: Pins, step: Step, meta: bpf.Map) -> bool:
    """Whether the queueing discipline of tc is ours to remove; noted before it is made, so that no kill makes it forgotten.

    All filters of an interface that need it note it, and the last one to go takes it along.
    """
    known = filter_meta.decode(meta)
    noted = known.get("made_clsact", False)
    if step.options.hook == hooks.XDP and not step.switches:
        return noted
    together = (name for name in pins.filters() if hooks.split_name(name)[0] == step.link.name)
    ours = any(_made_clsact(pins, name) for name in together) or not tc.has_clsact(step.link.index)
    if ours != noted:
        filter_meta.store(meta, {**known, "made_clsact": ours})
    return ours


def _made_clsact(pins: Pins, name: str) -> bool:
    return filter_meta.read(pins, name).get("made_clsact", False)


def _fallback_note(interface: str, reason: str) -> str:
    return f"{interface} runs in generic mode, which is slower, because the driver refused native mode: {reason}"


def _attach(step: Step, built: Built) -> tuple[str, str | None, str | None]:
    """The mode that it runs in now; if that is not the first choice, the driver's reason; a warning, if there is one."""
    hook, mode = step.options.hook, step.options.mode
    if built.switch:
        now, reason, unguarded = hooks.switch_mode(step.link, built.switch, mode, step.old, step.left)
        return now, reason, _unguarded_note(step.name, unguarded) if unguarded else None
    if not step.old:
        return (*hooks.attach(step.link, hook, built.program, mode), None)
    hooks.replace(step.link, built.program, step.old)
    return step.old.mode, (step.before or {}).get("mode_reason") if mode == "auto" else None, None


def _unguarded_note(name: str, reason: str) -> str:
    return f"{name} was without a filter for a moment while its mode was changed, because tc cannot stand in here: {reason}"


def _write_meta(step: Step, meta: bpf.Map, noted: dict) -> None:
    described = {
        "schema": schema.SCHEMA_VERSION,
        "version": VERSION,
        "build_id": step.build_id,
        "bcc_version": step.bcc_version,
        "options": step.options.as_dict(),
        "attached_at": int(time.time()),
    }
    filter_meta.store(meta, {**described, **noted})


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


# Removing


def absent(
    base: str,
    names: tuple[str, ...],
    check: bool = False,
    lock_timeout: float = 30.0,
    store: Store | None = None,
) -> dict:
    """Remove the filters of these names; without any named, all filters, both lists and every pin.

    What is removed is not restored at boot either.
    """
    check_timeout(lock_timeout)
    state.require_bpf()
    pins = Pins(base)
    there = (pins.check_mount() and pins.in_use().exists()) or recovery.any_lost(pins)
    kept = _plan_forgetting(store, names)
    everything = not names
    if check or not (there or kept):
        return _with_kept(_removal_result(_removable(pins, names), everything, there), kept)
    with host_lock(lock_timeout):
        # First of all, so that a removal that is interrupted is not undone by a boot.
        kept = _plan_forgetting(store, names)
        for edit in kept:
            edit.write()
        recovery.settle(pins, names)
        before = _removable(pins, names)
        for name in before:
            _detach(pins, name)
            pins.remove_filter(name)
        recovery.settle_maps(pins)  # the last one that used maps of before may have gone
        if everything:
            pins.remove_all()
        return _with_kept(_removal_result(before, everything, there), kept)


def _plan_forgetting(store: Store | None, names: tuple[str, ...]) -> list[Edit]:
    if store is None:
        return []
    edits = plan_filters(store, {}, dict.fromkeys(names)) if names else plan_forgetting(store)
    return [edit for edit in edits if edit]


def _removable(pins: Pins, names: tuple[str, ...]) -> dict:
    """The filters concerned that have pins, with their options as far as they are known."""
    return {
        name: filter_meta.read(pins, name).get("options", {}) for name in pins.filters() if not names or name in names
    }


def _detach(pins: Pins, name: str) -> None:
    for found in list(state.programs(pins, name)):
        hooks.detach(found.link, found.attached)
    _remove_clsact(pins, name)


def _remove_clsact(pins: Pins, name: str) -> None:
    """Remove what was made for a filter that is not attached, or not any more."""
    link = netlink.link(hooks.split_name(name)[0])
    if link and _made_clsact(pins, name):
        tc.remove_clsact(link.index)


def _removal_result(before: dict, everything: bool, existed: bool) -> dict:
    lists_gone = everything and existed
    diff = {"before": {"filters": before}, "after": {"filters": {}}}
    if lists_gone:
        diff["before"]["lists"], diff["after"]["lists"] = "present", "absent"
    return {"changed": bool(before) or lists_gone, "filters": {}, "removed": sorted(before), "diff": diff}


# Results


def _result(steps: list[Step], capacity: int | None, request: FilterRequest, after: dict, notes: list[str]) -> dict:
    before = {step.name: _shown_before(step) for step in steps}
    wanted = {step.name: _shown_wanted(step) for step in steps}
    final = _final_capacity(request, capacity)
    return {
        "changed": any(step.needed for step in steps),
        "filters": {step.name: _shown_after(step, after.get(step.name)) for step in steps},
        "max_entries": final,
        "diff": {
            "before": {"filters": before, "max_entries": capacity},
            "after": {"filters": wanted, "max_entries": final},
        },
        "warnings": notes,
    }


def _final_capacity(request: FilterRequest, capacity: int | None) -> int:
    return request.capacity or capacity or lists.DEFAULT_CAPACITY


def _shown_before(step: Step) -> dict:
    if not step.before:
        return {"foreign_program": step.old.program_id} if step.old else {}
    return {"build_id": step.before.get("build_id"), **step.before.get("options", {})}


def _shown_wanted(step: Step) -> dict:
    """With the build id only where there is one to compare it with."""
    return {**({"build_id": step.build_id} if step.before else {}), **step.options.as_dict()}


def _shown_after(step: Step, now: dict | None) -> dict:
    shown = {"build_id": step.build_id, "options": step.options.as_dict()}
    if now:
        info = now["info"]
        shown.update(mode=now["mode"], program={"id": info.id, "name": info.name, "tag": info.tag})
    return shown


def _reminders(steps: list[Step]) -> list[str]:
    """On every run, why a filter is not in the mode that ``auto`` would rather have."""
    reasons = {step.name: (step.before or {}).get("mode_reason") for step in steps}
    return [_fallback_note(name, reason) for name, reason in reasons.items() if reason]


def _prediction_warnings(steps: list[Step]) -> list[str]:
    if any(step.needed for step in steps) and not compiler.bcc_directory():
        return ["this host has no BCC yet, so the run itself needs the package python3-bpfcc or python3-bcc first"]
    return _reminders(steps)
