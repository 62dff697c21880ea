# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put filters on interfaces, change them, take them off.

The state of the kernel decides what is to be done: which program is attached, whether it counts in our counters, and
the build id in the filter's ``meta`` map. Planning reads only; everything that can be refused is refused there.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import time
from typing import NamedTuple

from . import VERSION, bpf, compiler, hooks, lists, netlink, schema, state, tc
from . import options as options_module
from . import pins as pins_module
from .errors import PingKillerError
from .lock import host_lock
from .options import FilterOptions
from .pins import Pins
from .wanted import Edit, Store, describe_filters, plan_filters, plan_forgetting

_MEMBARRIER_NUMBERS = {"x86_64": 324, "i686": 375, "armv7l": 389, "ppc64le": 365, "ppc64": 365, "s390x": 356}
_MEMBARRIER_GLOBAL = 1


class FilterRequest(NamedTuple):
    """What a user asks for. No interfaces: those of the default route, or for removal all that have a filter."""

    interfaces: tuple[str, ...]
    options: FilterOptions
    sources: dict
    capacity: int | None = None
    force: bool = False
    persist: bool | None = None  #: None: what is restored at boot is left alone
    store: Store | None = None


class Step(NamedTuple):
    """What one filter needs."""

    name: str
    link: netlink.Link
    options: FilterOptions
    defines: dict
    bcc_version: str
    build_id: str
    before: dict | None  #: our filter as it runs, see ``running``
    old: hooks.Attached | None  #: the program to replace, ours or, with force, a foreign one
    needed: bool


def read_meta(pins: Pins, name: str) -> dict:
    """What was noted when the filter was attached; empty if nothing was."""
    # Of any size: a filter of another version has to be removable.
    found = pins.open(pins.filter(name, "meta"))
    if found is None:
        return {}
    with found:
        text = (found.lookup(schema.ZERO) or b"").rstrip(b"\0")
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {}


def running(pins: Pins, name: str) -> dict | None:
    """A filter that is attached: where, its program and, if the meta map speaks of that, the rest. None if it is not."""
    found = state.running(pins, name)
    if not found:
        return None
    meta = read_meta(pins, name)
    known = meta if meta.get("program_id") == found.info.id else {}
    current = state.reads_current_lists(pins, found.info)
    return {
        **known,
        "mode": found.attached.mode,
        "attached": found.attached,
        "info": found.info,
        "current_lists": current,
    }


def present(base: str, request: FilterRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Make sure that the filters run as asked; the module's result. Raises PingKillerError before anything is touched."""
    state.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    if check:
        steps, capacity = _plan(pins, request)
        kept = _plan_kept(pins, request, steps, capacity)
        return _with_kept(_result(steps, capacity, request, {}, _prediction_warnings(steps)), kept)
    with host_lock(lock_timeout):
        pins.settle_lists()
        steps, capacity = _plan(pins, request)
        kept = _plan_kept(pins, request, steps, capacity)
        notes = _apply(pins, request, steps, capacity)
        for edit in kept:
            edit.write()
        return _with_kept(
            _result(steps, capacity, request, {s.name: running(pins, s.name) for s in steps}, notes), kept
        )


# Planning


def _plan(pins: Pins, request: FilterRequest) -> tuple[list[Step], int | None]:
    """The steps, and the lists' capacity at present (None if there are none)."""
    names = request.interfaces or tuple(netlink.default_interfaces())
    if not names:
        raise PingKillerError("this host has no default route to take the interface from: name one with interface")
    capacity = _capacity(pins, request)
    version = _bcc_version_or_none()
    resize = capacity is not None and request.capacity not in (None, capacity)
    steps = [_step(pins, request, name, request.options, version, resize) for name in dict.fromkeys(names)]
    if resize:
        steps += _others(pins, request, {step.name for step in steps}, version)
    return steps, capacity


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


def _others(pins: Pins, request: FilterRequest, named: set, version: str | None) -> list[Step]:
    """The host's other filters: new lists mean new programs for them too, with the options that they have."""
    steps = []
    for name in pins.filters():
        meta = running(pins, name)
        if name not in named and meta and "options" in meta:
            interface = hooks.split_name(name)[0]
            steps.append(_step(pins, request, interface, FilterOptions.from_dict(meta["options"]), version, True))
    return steps


def _step(pins: Pins, request: FilterRequest, interface: str, options, version: str | None, rebuild: bool) -> Step:
    link = _usable_link(interface)
    name = hooks.filter_name(interface, options.hook)
    before = running(pins, name)
    defines = options_module.definitions(options)
    # Without BCC, what it will be once it is installed is not known; most likely what compiled the filter that runs.
    version = version or (before or {}).get("bcc_version", "none")
    build_id = options_module.build_id(request.sources, defines, version)
    old = before["attached"] if before else _foreign(link, options.hook, request.force)
    same = before is not None and before.get("build_id") == build_id and before["current_lists"]
    needed = rebuild or not same or not _mode_settled(before, options) or before.get("options") != options.as_dict()
    return Step(name, link, options, defines, version, build_id, before, old, needed)


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
    lost = "; it may be a filter whose pins are gone, or whose interface had another name"
    hint = lost if info and info.name == compiler.FUNCTION else ""
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
        state.create(pins, request.capacity or lists.DEFAULT_CAPACITY)
        if capacity is not None and request.capacity not in (None, capacity):
            return _resize(pins, request, todo)
        programs = [_build(pins, request, step, pins_module.CURRENT) for step in todo]
        return [note for step, program in zip(todo, programs) for note in _put(pins, step, program)]
    except BaseException:
        _undo(pins, existed, made)
        raise


def _undo(pins: Pins, existed: bool, made: list[str]) -> None:
    """Remove the pins made for filters that did not come to run."""
    failed = [name for name in made if not state.running(pins, name)]
    for name in failed:
        pins.remove_filter(name)
    if not existed and not pins.filters():
        pins.remove_all()


def _build(pins: Pins, request: FilterRequest, step: Step, generation: str):
    pins.make_directory(pins.filter(step.name))
    for name, info in _filter_maps(step.options).items():
        _drop_other_size(pins, step.name, name, info)
        pins.ensure(pins.filter(step.name, name), info, prefix="filter_").close()
    if step.options.events != "none":
        pins.ensure(pins.host("events"), schema.EVENTS_MAP).close()
    directories = {
        "HOST_PINS": pins.base,
        "LIST_PINS": pins.host(generation),
        "FILTER_PINS": pins.filter(step.name),
    }
    defines = {**step.defines, **{name: json.dumps(path) for name, path in directories.items()}}
    return compiler.compile_program(request.sources, defines, step.options.hook)


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


def _put(pins: Pins, step: Step, program) -> list[str]:
    """Attach or replace, note it in the meta map, and check what the kernel has now."""
    made_clsact = step.options.hook != hooks.XDP and tc.ensure_clsact(step.link.index)
    mode, reason = _attach(step, program)
    with bpf.Program(os.dup(program.fd)) as handle:
        identity = handle.info.id
    noted = {"mode": mode, "mode_reason": reason, "program_id": identity}
    _write_meta(pins, step, {**noted, "made_clsact": made_clsact or (step.before or {}).get("made_clsact", False)})
    found = state.running(pins, step.name)
    if not found or found.info.id != identity:
        raise PingKillerError(
            f"another program took the place of the filter on {step.name!r} just after it was attached: "
            f"find out who manages XDP there, then run again"
        )
    return [_fallback_note(step.name, reason)] if reason else []


def _fallback_note(interface: str, reason: str) -> str:
    return f"{interface} runs in generic mode, which is slower, because the driver refused native mode: {reason}"


def _attach(step: Step, program) -> tuple[str, str | None]:
    """The mode that it runs in now and, if that is not the first choice, the driver's reason."""
    if not step.old:
        return hooks.attach(step.link, step.options.hook, program, step.options.mode)
    if not _keeps_mode(step):
        return hooks.switch_mode(step.link, program, step.options.mode, step.old)
    hooks.replace(step.link, step.options.hook, program, step.old)
    return step.old.mode, (step.before or {}).get("mode_reason") if step.options.mode == "auto" else None


def _keeps_mode(step: Step) -> bool:
    return _mode_settled(step.before or {"mode": step.old.mode}, step.options)


def _write_meta(pins: Pins, step: Step, noted: dict) -> None:
    meta = {
        "schema": schema.SCHEMA_VERSION,
        "version": VERSION,
        "build_id": step.build_id,
        "bcc_version": step.bcc_version,
        "options": step.options.as_dict(),
        "attached_at": int(time.time()),
        **noted,
    }
    with pins.ensure(pins.filter(step.name, "meta"), schema.FILTER_MAPS["meta"]) as found:
        found.update(schema.ZERO, json.dumps(meta).encode().ljust(schema.META_SIZE, b"\0"))


def _resize(pins: Pins, request: FilterRequest, todo: list[Step]) -> list[str]:
    """Move to lists of another capacity: fill them, compile every filter against them, swap, bring the last counts over."""
    for name in schema.LISTS:
        state.create_list(pins, name, request.capacity, pins_module.NEXT)
        with state.opened(pins) as host:
            with lists.EntryList(pins, name, host) as old:
                old.settle()
                with lists.EntryList(pins, name, host, pins_module.NEXT) as new:
                    new.copy_from(old)
    programs = [_build(pins, request, step, pins_module.NEXT) for step in todo]
    pins.swap_lists()
    notes = [note for step, program in zip(todo, programs) for note in _put(pins, step, program)]
    _wait_for_packets()
    for name in schema.LISTS:
        _carry_counts(pins, name, programs[0])
    pins.settle_lists()
    return notes


def _carry_counts(pins: Pins, name: str, program) -> None:
    with compiler.load_carry(program) as carry, state.opened(pins) as host:
        with lists.EntryList(pins, name, host, pins_module.OLD) as old, lists.EntryList(pins, name, host) as new:
            new.carry_from(old, carry)


def _wait_for_packets() -> None:
    """Until every packet that the replaced programs were at is through: membarrier waits for an RCU grace period."""
    number = _MEMBARRIER_NUMBERS.get(platform.machine(), 283)
    ctypes.CDLL(None, use_errno=True).syscall(number, _MEMBARRIER_GLOBAL, 0, 0)


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
    state.require_bpf()
    pins = Pins(base)
    there = pins.check_mount() and pins.exists()
    kept = _plan_forgetting(store, names)
    everything = not names
    if check or not (there or kept):
        return _with_kept(_removal_result(_removable(pins, names), everything, there), kept)
    with host_lock(lock_timeout):
        # First of all, so that a removal that is interrupted is not undone by a boot.
        kept = _plan_forgetting(store, names)
        for edit in kept:
            edit.write()
        before = _removable(pins, names)
        for name in before:
            _detach(pins, name)
            pins.remove_filter(name)
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
    return {name: read_meta(pins, name).get("options", {}) for name in pins.filters() if not names or name in names}


def _detach(pins: Pins, name: str) -> None:
    found = state.running(pins, name)
    if not found:
        return
    hook = hooks.split_name(name)[1]
    hooks.detach(found.link, hook, found.attached)
    if read_meta(pins, name).get("made_clsact"):
        tc.remove_clsact(found.link.index)


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
