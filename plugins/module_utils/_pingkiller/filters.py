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

from . import VERSION, bpf, compiler, lists, netlink, schema, state
from . import options as options_module
from . import pins as pins_module
from .errors import PingKillerError
from .lock import host_lock
from .options import FilterOptions
from .pins import Pins

_MEMBARRIER_NUMBERS = {"x86_64": 324, "i686": 375, "armv7l": 389, "ppc64le": 365, "ppc64": 365, "s390x": 356}
_MEMBARRIER_GLOBAL = 1


class FilterRequest(NamedTuple):
    """What a user asks for. No interfaces: those of the default route, or for removal all that have a filter."""

    interfaces: tuple[str, ...]
    options: FilterOptions
    sources: dict
    capacity: int | None = None
    force: bool = False


class Step(NamedTuple):
    """What one interface needs."""

    link: netlink.Link
    options: FilterOptions
    defines: dict
    build_id: str
    before: dict | None  #: meta of our running filter
    old_mode: str | None  #: of the program to replace, ours or, with force, a foreign one
    old_id: int
    needed: bool

    @property
    def name(self) -> str:
        return self.link.name


def read_meta(pins: Pins, interface: str) -> dict:
    """What was noted when the filter was attached; empty if nothing was."""
    found = pins.open(pins.filter(interface, "meta"), schema.FILTER_MAPS["meta"])
    if found is None:
        return {}
    with found:
        text = (found.lookup(schema.ZERO) or b"").rstrip(b"\0")
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {}


def running(pins: Pins, interface: str) -> dict | None:
    """Our filter on an interface: mode, program and, if the meta map speaks of this program, the rest. None without."""
    found = state.attached(pins, interface)
    if not found:
        return None
    _link, mode, info = found
    meta = read_meta(pins, interface)
    known = meta if meta.get("program_id") == info.id else {}
    return {**known, "mode": mode, "info": info, "current_lists": state.reads_current_lists(pins, info)}


def present(base: str, request: FilterRequest, check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Make sure that the filters run as asked; the module's result. Raises PingKillerError before anything is touched."""
    state.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    if check:
        steps, capacity = _plan(pins, request)
        return _result(steps, capacity, request, {}, _prediction_warnings(steps))
    with host_lock(lock_timeout):
        steps, capacity = _plan(pins, request)
        notes = _apply(pins, request, steps, capacity)
        return _result(steps, capacity, request, {s.name: running(pins, s.name) for s in steps}, notes)


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


def _bcc_version_or_none() -> str:
    """Check mode works before BCC is installed; compiling is what complains."""
    return compiler.bcc_version() if compiler.bcc_directory() else "none"


def _capacity(pins: Pins, request: FilterRequest) -> int | None:
    """The lists' capacity. Raises PingKillerError if they hold more than the request leaves room for."""
    if request.capacity is not None and request.capacity < 1:
        raise PingKillerError(f"max_entries={request.capacity} is no capacity: give 1 or more")
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


def _others(pins: Pins, request: FilterRequest, named: set, version: str) -> list[Step]:
    """The host's other filters: new lists mean new programs for them too, with the options that they have."""
    steps = []
    for name in pins.filters():
        meta = running(pins, name)
        if name not in named and meta and "options" in meta:
            stored = {**meta["options"], "icmp_types": tuple(meta["options"]["icmp_types"])}
            steps.append(_step(pins, request, name, FilterOptions(**stored), version, True))
    return steps


def _step(pins: Pins, request: FilterRequest, name: str, options, version: str, rebuild: bool) -> Step:
    link = _usable_link(name)
    before = running(pins, name)
    defines = options_module.definitions(options)
    build_id = options_module.build_id(request.sources, defines, version)
    if before:
        old_mode, old_id = before["mode"], before["info"].id
    else:
        old_mode, old_id = _foreign(link, options, request.force)
    same = before is not None and before.get("build_id") == build_id and before["current_lists"]
    needed = rebuild or not same or not _mode_settled(before, options)
    return Step(link, options, defines, build_id, before, old_mode, old_id, needed)


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


def _foreign(link: netlink.Link, options: FilterOptions, force: bool) -> tuple[str | None, int]:
    """The program of somebody else that force lets us replace. Raises PingKillerError without force."""
    if not link.programs:
        return None, 0
    mode, identity = next(iter(link.programs.items()))
    info = state.program_info(identity)
    described = f"id {identity}, name {info.name or '(none)'}, tag {info.tag}" if info else f"id {identity}"
    if not force:
        raise PingKillerError(
            f"interface {link.name!r} already has an XDP program that is not PingKiller's ({described}, {mode} mode): "
            f"it was left alone; remove it, or set force: true to replace it"
        )
    return mode, identity


def _mode_settled(before: dict, options: FilterOptions) -> bool:
    """Whether the mode that runs is the one asked for. ``auto`` that ended in generic mode is not tried again."""
    if options.mode == "auto":
        return before["mode"] == "native" or before.get("options", {}).get("mode") == "auto"
    return before["mode"] == options.mode


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
    failed = [name for name in made if not state.attached(pins, name)]
    for name in failed:
        pins.remove_filter(name)
    if not existed and not pins.filters():
        pins.remove_all()


def _build(pins: Pins, request: FilterRequest, step: Step, generation: str):
    pins.make_directory(pins.filter(step.name))
    for name, info in schema.FILTER_MAPS.items():
        pins.ensure(pins.filter(step.name, name), info, prefix="filter_").close()
    directories = {
        "HOST_PINS": pins.base,
        "LIST_PINS": pins.host(generation),
        "FILTER_PINS": pins.filter(step.name),
    }
    defines = {**step.defines, **{name: json.dumps(path) for name, path in directories.items()}}
    return compiler.compile_program(request.sources, defines)


def _put(pins: Pins, step: Step, program) -> list[str]:
    """Attach or replace, note it in the meta map, and check what the kernel has now."""
    mode, reason = _attach(step, program)
    with bpf.Program(os.dup(program.fd)) as handle:
        identity = handle.info.id
    _write_meta(pins, step, mode, reason, identity)
    found = state.attached(pins, step.name)
    if not found or found[2].id != identity:
        raise PingKillerError(
            f"another program took the place of the filter on {step.name!r} just after it was attached: "
            f"find out who manages XDP there, then run again"
        )
    return [_fallback_note(step.name, reason)] if reason else []


def _fallback_note(interface: str, reason: str) -> str:
    return f"{interface} runs in generic mode, which is slower, because the driver refused native mode: {reason}"


def _attach(step: Step, program) -> tuple[str, str | None]:
    """The mode that it runs in now and, if that is not the first choice, the kernel's reason."""
    if step.old_mode and _keeps_mode(step):
        _replace(step, program.fd)
        before = step.before or {}
        return step.old_mode, before.get("mode_reason") if step.options.mode == "auto" else None
    if not step.old_mode:
        return _attach_first(step, program)
    return _switch_mode(step, program)


def _keeps_mode(step: Step) -> bool:
    if step.options.mode != "auto":
        return step.old_mode == step.options.mode
    return step.old_mode == "native" or (step.before or {}).get("options", {}).get("mode") == "auto"


def _replace(step: Step, fd: int) -> None:
    try:
        with bpf.Program.from_id(step.old_id) as old:
            netlink.replace_xdp(step.link.index, fd, old.fd, step.old_mode)
    except OSError as error:
        raise PingKillerError(
            f"the program on {step.name!r} could not be replaced ({error.strerror}): the one that was there goes on; run again"
        ) from error


def _attach_first(step: Step, program) -> tuple[str, str | None]:
    wanted = "generic" if step.options.mode == "generic" else "native"
    reason = compiler.attach(step.link, program, wanted)
    if not reason:
        return wanted, None
    if step.options.mode != "auto":
        hint = "; use mode auto or generic" if wanted == "native" else ""
        raise PingKillerError(f"interface {step.name!r} cannot take the filter in {wanted} mode ({reason}){hint}")
    second = compiler.attach(step.link, program, "generic")
    if second:
        raise PingKillerError(
            f"interface {step.name!r} takes the filter neither in native mode ({reason}) nor in generic mode ({second}): "
            f"use another interface"
        )
    return "generic", reason


def _switch_mode(step: Step, program) -> tuple[str, str | None]:
    """Native and generic exclude each other in the kernel, so the old program goes first; back it comes on failure."""
    with bpf.Program.from_id(step.old_id) as old:
        netlink.detach_xdp(step.link.index, old.fd, step.old_mode)
        try:
            return _attach_first(step, program)
        except PingKillerError:
            netlink.attach_xdp(step.link.index, old.fd, step.old_mode)
            raise


def _write_meta(pins: Pins, step: Step, mode: str, reason: str | None, identity: int) -> None:
    meta = {
        "schema": schema.SCHEMA_VERSION,
        "version": VERSION,
        "build_id": step.build_id,
        "program_id": identity,
        "options": step.options.as_dict(),
        "mode": mode,
        "mode_reason": reason,
        "attached_at": int(time.time()),
    }
    with pins.ensure(pins.filter(step.name, "meta"), schema.FILTER_MAPS["meta"]) as found:
        found.update(schema.ZERO, json.dumps(meta).encode().ljust(schema.META_SIZE, b"\0"))


def _resize(pins: Pins, request: FilterRequest, todo: list[Step]) -> list[str]:
    """Move to lists of another capacity: fill them, compile every filter against them, swap, bring the last counts over."""
    for name in schema.LISTS:
        state.create_list(pins, name, request.capacity, pins_module.NEXT)
        with state.opened(pins) as host:
            with lists.EntryList(pins, name, host) as old:
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


def absent(base: str, interfaces: tuple[str, ...], check: bool = False, lock_timeout: float = 30.0) -> dict:
    """Remove the filters of these interfaces; without any named, all filters, both lists and every pin."""
    state.require_bpf()
    pins = Pins(base)
    if not (pins.check_mount() and pins.exists()):
        return _removal_result({}, False, False)
    everything = not interfaces
    if check:
        return _removal_result(_removable(pins, interfaces), everything, True)
    with host_lock(lock_timeout):
        before = _removable(pins, interfaces)
        for name in before:
            _detach(pins, name)
            pins.remove_filter(name)
        if everything:
            pins.remove_all()
        return _removal_result(before, everything, True)


def _removable(pins: Pins, interfaces: tuple[str, ...]) -> dict:
    """The filters concerned that have pins, with their options as far as they are known."""
    names = pins.filters()
    return {name: read_meta(pins, name).get("options", {}) for name in names if not interfaces or name in interfaces}


def _detach(pins: Pins, interface: str) -> None:
    found = state.attached(pins, interface)
    if not found:
        return
    link, mode, info = found
    try:
        with bpf.Program.from_id(info.id) as program:
            netlink.detach_xdp(link.index, program.fd, mode)
    except OSError as error:
        raise PingKillerError(
            f"the filter on {interface!r} could not be detached ({error.strerror}): it goes on; run again"
        ) from error


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
    final = request.capacity or capacity or lists.DEFAULT_CAPACITY
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


def _shown_before(step: Step) -> dict:
    if not step.before:
        return {"foreign_program": step.old_id} if step.old_id else {}
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
