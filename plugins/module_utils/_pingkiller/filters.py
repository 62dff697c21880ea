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
from collections.abc import Callable, Iterable
from typing import NamedTuple

from . import (
    VERSION,
    bpf,
    compiler,
    filter_meta,
    hooks,
    lists,
    migration,
    netlink,
    recovery,
    routes,
    schema,
    state,
    tc,
)
from . import options as options_module
from . import pins as pins_module
from .errors import PingKillerError, listed, quoted, shortened
from .lock import check_timeout, host_lock
from .options import FilterOptions
from .pins import Pins
from .wanted import Edit, Store, describe_filters, owned_by, owner_changes, plan_filters, plan_forgetting, plan_owner


class FilterRequest(NamedTuple):
    """What a user asks for."""

    interfaces: tuple[str, ...] | None  #: by any name; None: those of the default routes
    options: dict  #: values of FilterOptions by name; what is not named stays as it is where such a filter of ours runs
    sources: dict
    capacity: int | None = None
    force: bool = False
    persist: bool | None = None  #: None: what is restored at boot is left alone
    owner: str | None = None  #: who wants the filters; None: who did so before, if anybody
    store: Store | None = None
    reset: bool = False  #: what is not named gets its default

    @property
    def hook(self) -> str:
        return self.options.get("hook", hooks.XDP)


#: Names of filters, in the order in which they were asked for, with the options that each is to have.
Asked = dict[str, FilterOptions]


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
        before = self.before or {"mode": self.old and self.old.mode}
        return bool(self.left or (self.old and not _mode_settled(before, self.options, self.link)))


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
    links = _links(request)
    if check:
        pins.require_ours()
        return _predict(pins, request, links)
    with host_lock(lock_timeout):
        asked = _ask(pins.in_use(), request, links)
        own_name = _own_names(pins.in_use())
        mended = recovery.settle(pins, tuple(asked)) + _complete(pins, request)
        steps, capacity = _plan(pins, request, asked)
        kept = _plan_kept(pins, request, asked, capacity, own_name)
        notes = mended + _plan_notes(pins, request, steps) + _takeover_notes(pins, request, steps, kept, own_name)
        notes += _apply(pins, request, steps, capacity)
        for edit in kept:
            edit.write()
        result = _result(
            steps, asked, capacity, request, {s.name: filter_meta.running(pins, s.name) for s in steps}, notes
        )
        return _with_kept({**result, "changed": result["changed"] or bool(mended)}, kept, request.owner)


def _predict(pins: Pins, request: FilterRequest, links: list[netlink.Link]) -> dict:
    to_mend, pins = recovery.unfinished(pins) or bool(recovery.reading_others(pins)), pins.in_use()
    asked = _ask(pins, request, links)
    steps, capacity = _plan(pins, request, asked)
    own_name = _own_names(pins)
    kept = _plan_kept(pins, request, asked, capacity, own_name)
    notes = _plan_notes(pins, request, steps) + _takeover_notes(pins, request, steps, kept, own_name)
    result = _result(steps, asked, capacity, request, {}, notes + _prediction_warnings(steps))
    return _with_kept({**result, "changed": result["changed"] or to_mend}, kept, request.owner)


# What is asked for


def named(interfaces: list[str] | None) -> tuple[str, ...] | None:
    """The names that a user gave, None if none were asked for. Raises PingKillerError for a list that names nothing."""
    if interfaces is None:
        return None
    names = tuple(name.strip() for name in interfaces)
    for name in names:
        _require_printable(name)
    if not (names and all(names)):
        what = "has an empty name in it" if any(names) else "is empty"
        raise PingKillerError(
            f"interface {what}: name interfaces, or leave it out for those of the default routes; to remove everything "
            f"from the host, use state: absent with all: true"
        )
    return names


def _require_printable(name: str) -> None:
    if not name.isprintable():
        raise PingKillerError(
            f"interface {quoted(name)} has characters in its name that cannot be printed: name another one, or rename it first"
        )


def names_to_remove(
    interfaces: tuple[str, ...] | None, hook: str | None, everything: bool | None
) -> tuple[str, ...] | None:
    """The names of the filters, None for everything on the host. Raises PingKillerError where it is not clear which."""
    if interfaces is not None:
        if everything:
            raise PingKillerError(
                "interface and all=true contradict each other: leave all out to remove these filters only, or interface to "
                "remove everything from the host"
            )
        return tuple(hooks.filter_name(interface, hook or hooks.XDP) for interface in interfaces)
    if hook is not None:
        raise PingKillerError(
            f"hook={hook} does not say which filters to remove: name their interfaces with interface, too, or leave hook out "
            f"and use all: true to remove everything from the host"
        )
    if everything is False:
        raise PingKillerError(
            "all=false does not say which filters to remove: name their interfaces with interface, or use all: true to remove "
            "everything from the host"
        )
    return None


def _links(request: FilterRequest) -> list[netlink.Link]:
    """The interfaces, each once by whatever names it was given. Raises PingKillerError for one that cannot have a filter."""
    names = routes.default_interfaces() if request.interfaces is None else request.interfaces
    if not names:
        raise PingKillerError("this host has no default route to take the interface from: name one with interface")
    return list({link.index: link for link in map(_usable_link, names)}.values())


def _ask(pins: Pins, request: FilterRequest, links: list[netlink.Link]) -> Asked:
    """Before anything is put right, so that bad options change nothing. Raises PingKillerError."""
    asked = {}
    for link in links:
        name = hooks.filter_name(link.name, request.hook)
        noted = {} if request.reset else recovery.noted_options(pins, link, name)
        asked[name] = FilterOptions.from_dict({**noted, "hook": request.hook}).changed_by(request.options)
    return asked


# Planning


def _plan(pins: Pins, request: FilterRequest, asked: Asked) -> tuple[list[Step], int | None]:
    """The steps, and the lists' capacity at present (None if there are none)."""
    capacity = _capacity(pins, request)
    version = _bcc_version_or_none()
    move = _moves(pins, request, capacity)
    steps = [_step(pins, request, name, options, version, move) for name, options in asked.items()]
    if move:
        steps += _others(pins, request, set(asked), version)
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
        raise PingKillerError(
            f"max_entries={shortened(str(request.capacity))} is out of range: give 1 to {lists.MAX_CAPACITY}"
        )
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
            steps.append(_step(pins, request, name, FilterOptions.from_dict(meta["options"]), version, rebuild))
    return steps


def _step(pins: Pins, request: FilterRequest, name: str, options, version: str | None, rebuild: bool) -> Step:
    link = _usable_link(hooks.split_name(name)[0])
    _check_maps(pins, name)
    before = filter_meta.running(pins, name)
    defines = options_module.definitions(options)
    # Without BCC, what it will be once it is installed is not known; most likely what compiled the filter that runs.
    version = version or (before or {}).get("bcc_version", "none")
    build_id = options_module.build_id(request.sources, defines, version)
    left = state.stand_in(pins, name)
    old = _to_replace(pins, link, name, before, request.force)
    same = before is not None and before.get("build_id") == build_id and before["current_lists"]
    settled = same and _mode_settled(before, options, link) and before.get("options") == options.as_dict()
    needed = rebuild or left or not settled
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
    _require_printable(name)
    link = netlink.link(name)
    if link is None:
        usable = sorted(each.name for each in netlink.links() if each.ethernet and not each.loopback)
        way_out = f"use one of {listed(usable)}" if usable else "it has none that a filter would be of use on"
        raise PingKillerError(f"interface {quoted(name)} does not exist on this host: {way_out}")
    if not link.ethernet:
        raise PingKillerError(
            f"interface {quoted(name)} carries no Ethernet frames, which the filter needs: name the Ethernet interface below it with "
            f"interface; ICMP inside a tunnel is not seen there, so filter that with the host's firewall (nftables)"
        )
    return link


def _foreign(link: netlink.Link, hook: str, force: bool) -> hooks.Attached | None:
    """The program of somebody else that force lets us replace. Raises PingKillerError if nobody lets us.

    On tc, programs live side by side, so nobody is in the way.
    """
    if hook != hooks.XDP or not link.programs:
        return None
    found = hooks.programs(link, hook)[0]
    info = state.program_info(found.program_id)
    described = f"id {found.program_id}" + (f", name {info.name or '(none)'}, tag {info.tag}" if info else "")
    hint = "; it may be a filter with another base" if info and info.name == schema.FUNCTION else ""
    held = bpf.xdp_link(link.index, found.program_id)
    if held is None and force:
        return found
    way_out = _way_past_link(*held) if held else "remove it, set force: true to replace it"
    raise PingKillerError(
        f"interface {link.name!r} already has an XDP program that is not PingKiller's ({described}, {found.mode} mode{hint}): "
        f"it was left alone; {way_out}, or use hook: tc_ingress beside it"
    )


def _way_past_link(identity: int, holders: list[str]) -> str:
    """The kernel lets nobody replace a program that a bpf_link holds, but for who made the link."""
    holder = f"of {', '.join(holders)}" if holders else "that is pinned on a BPF file system"
    return (
        f"bpf_link {identity} {holder} holds it, so that not even force: true could replace it; end what made the link, or "
        f"break it with 'bpftool link detach id {identity}'"
    )


def _mode_settled(before: dict, options: FilterOptions, link: netlink.Link) -> bool:
    """Whether the mode that runs is the one asked for.

    ``auto`` that ended in generic mode is tried again when frames are smaller than they were, what drivers refuse most.
    """
    if options.hook != hooks.XDP:
        return True
    if options.mode != "auto" or before["mode"] == "native":
        return before["mode"] == options.mode or options.mode == "auto"
    return before.get("options", {}).get("mode") == "auto" and link.mtu >= before.get("mtu", 0)


def _own_names(pins: Pins) -> Callable[[str], str]:
    """What gives a filter the name that it has now, also where its interface was renamed and its pins were not."""
    renamed = recovery.renamed(pins)
    return lambda name: renamed.get(name) or state.own_name(name)


def _plan_kept(
    pins: Pins, request: FilterRequest, asked: Asked, capacity: int | None, own_name: Callable[[str], str]
) -> list[Edit]:
    """What changes of what is noted. The filters not named that a change of capacity takes along stay as they are."""
    if request.store is None:
        return []
    kept = {name: {**options.as_dict(), "force": request.force} for name, options in asked.items()}
    about_host = {"base": pins.base, "max_entries": _final_capacity(request, capacity)}
    edits = [plan_owner(request.store, asked, request.owner, own_name)] if request.owner else []
    if request.persist is not None:
        wanted = {**_to_forget(request.store, asked), **(kept if request.persist else {})}
        edits += plan_filters(request.store, about_host, wanted)
    return edits


def _to_forget(store: Store, names: Iterable[str]) -> dict[str, None]:
    """The filters of these names, and the same by names under which their interfaces were known before."""
    forgotten = dict.fromkeys(names)
    noted = (hooks.filter_name(each, hook) for each in store.names("filters") for hook in hooks.HOOKS)
    return {**forgotten, **dict.fromkeys(name for name in noted if state.own_name(name) in forgotten)}


def _plan_notes(pins: Pins, request: FilterRequest, steps: list[Step]) -> list[str]:
    """What a user would not expect of these steps, as sentences."""
    notes = pins.warnings()
    notes += [note for step in steps if not request.reset for note in _forgotten_notes(step, request)]
    notes += [_idle_note(step, names) for step in steps if (names := _idle(step, request))]
    notes += [_loopback_note(step.name) for step in steps if step.link.loopback]
    notes += [_monitor_note(step.name) for step in steps if step.needed and "monitor" in _kept_options(step, request)]
    return notes + [note for step in steps if not step.before for note in state.goes_on_notes(pins, step.name)]


def _forgotten_notes(step: Step, request: FilterRequest) -> list[str]:
    """Of the options that were not named and go, since they have no meaning any more."""
    had = (step.before or {}).get("options", {})
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


def _takeover_notes(
    pins: Pins, request: FilterRequest, steps: list[Step], kept: list[Edit], own_name: Callable[[str], str]
) -> list[str]:
    """Of filters that are there already and become the owner's with this run."""
    new = owner_changes(kept, own_name) if request.owner else {}
    there = [step for step in steps if step.before or recovery.lost(pins, step.link, step.name)]
    return [_takeover_note(step.name, new[step.name], request.owner) for step in there if step.name in new]


def _takeover_note(name: str, before: str | None, owner: str) -> str:
    whose = f"was {before}'s" if before else "had no owner, as one that was put there by hand"
    return f"the filter on {name} {whose}: it belongs to {owner} from now on, and goes when {owner} no longer names it"


def _monitor_note(name: str) -> str:
    return (
        f"the filter on {name} goes on to monitor only, so it drops nothing: give monitor=false, too, to have it drop"
    )


def _with_kept(result: dict, kept: list[Edit], owner: str | None = None) -> dict:
    """The result with what changes of who wants the filters, and of what is restored at boot; and all that ``owner`` wants."""
    if owner:
        result["owned"] = owned_by(kept, owner)
    if any(kept):
        result["changed"] = True
        for when in ("before", "after"):
            at_boot = describe_filters(kept, when)
            owners = {"owners": at_boot.pop("owners")} if "owners" in at_boot else {}
            result["diff"][when].update({"at_boot": at_boot, **owners})
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
        stays = _reminders([step for step in steps if not step.needed])
        if _moves(pins, request, capacity):
            return stays + _move(pins, request, todo, request.capacity or capacity)
        state.create(pins, request.capacity or lists.DEFAULT_CAPACITY)
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
        with state.opened_list(pins, name) as entries:
            if entries is not None:
                entries.settle(anew=True)
    steps = [each for each in _others(pins, request, set(), compiler.bcc_version(), rebuild=False) if each.needed]
    notes = _renew(pins, request, steps)
    done = "a change of all maps that was interrupted has been completed"
    if others:
        done = "filters that read other lists read those pinned here now; what only those others held is on none"
    return [*notes, done] if steps else notes


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
        pins.ensure(pins.filter(step.name, name), info, prefix=schema.FILTER_PREFIX).close()
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
    """Another size starts a new count."""
    path = pins.filter(filter_name, name)
    existing = pins.open(path, info, any_size=True) if name in schema.SIZED_MAPS else None
    if existing:
        with existing:
            if existing.info != info:
                os.unlink(path)


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
        noted = {"mode": mode, "mode_reason": reason, "mtu": step.link.mtu, "program_id": identity, "base": pins.base}
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
    return (
        f"{interface} runs in generic mode, which is slower, because the driver refused native mode: {reason}; mode auto tries "
        f"again once the MTU is smaller, or if you run xdp_filter with mode=native"
    )


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
    names: tuple[str, ...] | None,
    check: bool = False,
    lock_timeout: float = 30.0,
    store: Store | None = None,
    owner: str | None = None,
) -> dict:
    """Remove the filters of these names; None: all filters, both lists and every pin.

    What is removed is not restored at boot either. That ``owner`` wanted it is forgotten; of another owner it goes on to be
    known, so that the filter is missed. A filter that goes on where this run cannot reach it keeps its pins, by which it is
    known, unless everything goes.
    """
    check_timeout(lock_timeout)
    state.require_bpf()
    pins = Pins(base)
    names = None if names is None else tuple(dict.fromkeys(map(state.own_name, names)))
    there = (pins.check_mount() and pins.in_use().exists()) or recovery.any_lost(pins)
    kept = _plan_forgetting(store, names, owner)
    everything = names is None
    if check and there:
        pins.require_ours()
    if check or not (there or kept):
        used = pins.in_use()
        return _with_kept(_removal_result(_plan_removal(used, names), everything, there), kept)
    with host_lock(lock_timeout):
        recovery.settle(pins, names or ())  # first, since this refuses what is not ours, and then nothing is half done
        removal = _plan_removal(pins, names)
        # Before anything goes, so that a removal that is interrupted is not undone by a boot.
        kept = _plan_forgetting(store, names, owner)
        for edit in kept:
            edit.write()
        compiler.remove_abandoned_headers()
        for name in removal.before:
            _detach(pins, name)
            if name not in removal.going_on:
                pins.remove_filter(name)
        recovery.settle_maps(pins)  # the last one that used maps of before may have gone
        if everything:
            pins.remove_all()
        return _with_kept(_removal_result(removal, everything, there), kept)


class Removal(NamedTuple):
    """What is to become of the filters concerned."""

    before: dict[str, dict]  #: their options, as far as they are known
    going_on: dict[str, list[str]]  #: those of which a program cannot be removed from here, with what is to be said
    removed: list[str]  #: those of which there is something to remove here


def _plan_removal(pins: Pins, names: tuple[str, ...] | None) -> Removal:
    concerned = [name for name in pins.filters() if names is None or name in names]
    before = {name: filter_meta.read(pins, name).get("options", {}) for name in concerned}
    notes = {name: state.goes_on_notes(pins, name) for name in concerned}
    going_on = {name: said for name, said in notes.items() if said}
    return Removal(before, going_on, [n for n in concerned if n not in going_on or state.running(pins, n)])


def _plan_forgetting(store: Store | None, names: tuple[str, ...] | None, owner: str | None) -> list[Edit]:
    if store is None:
        return []
    edits = plan_forgetting(store) if names is None else plan_filters(store, {}, _to_forget(store, names))
    if names and owner:
        edits.append(plan_owner(store, names, owner, state.own_name, absent=True))
    return [edit for edit in edits if edit]


def _detach(pins: Pins, name: str) -> None:
    for found in list(state.programs(pins, name)):
        hooks.detach(found.link, found.attached)
    _remove_clsact(pins, name)


def _remove_clsact(pins: Pins, name: str) -> None:
    """Remove what was made for a filter that is not attached, or not any more."""
    link = netlink.link(hooks.split_name(name)[0])
    if link and _made_clsact(pins, name):
        tc.remove_clsact(link.index)


def _removal_result(removal: Removal, everything: bool, existed: bool) -> dict:
    lists_gone = everything and existed
    stay = {name: options for name, options in removal.before.items() if name not in removal.removed}
    diff = {"before": {"filters": removal.before}, "after": {"filters": stay}}
    if lists_gone:
        diff["before"]["lists"], diff["after"]["lists"] = "present", "absent"
    return {
        "changed": bool(removal.removed) or lists_gone,
        "filters": {},
        "removed": sorted(removal.removed),
        "diff": diff,
        "warnings": [note for notes in removal.going_on.values() for note in notes],
    }


# Results


def _result(
    steps: list[Step], asked: Asked, capacity: int | None, request: FilterRequest, after: dict, notes: list[str]
) -> dict:
    """Of the filters asked for; the diff shows the others, too, that are taken along."""
    before = {step.name: _shown_before(step) for step in steps}
    wanted = {step.name: _shown_wanted(step) for step in steps}
    final = _final_capacity(request, capacity)
    return {
        "changed": any(step.needed for step in steps),
        "filters": {s.name: _shown_after(s, request, after.get(s.name)) for s in steps if s.name in asked},
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
    options = step.before.get("options", {})
    shown = {name: options[name] for name in _shown(step) if name in options}
    return {"build_id": step.before.get("build_id"), **shown}


def _shown_wanted(step: Step) -> dict:
    """With the build id only where there is one to compare it with."""
    options = step.options.as_dict()
    return {**({"build_id": step.build_id} if step.before else {}), **{name: options[name] for name in _shown(step)}}


def _shown(step: Step) -> list[str]:
    """The options that a diff shows: of a new filter all, later those that change and those that stay without being default."""
    options, defaults = step.options.as_dict(), FilterOptions().as_dict()
    before = (step.before or {}).get("options", {})
    return [name for name in options if not options[name] == before.get(name) == defaults[name]]


def _shown_after(step: Step, request: FilterRequest, now: dict | None) -> dict:
    shown = {"build_id": step.build_id, "options": step.options.as_dict(), "kept": _kept_options(step, request)}
    if now:
        info = now["info"]
        shown.update(mode=now["mode"], program={"id": info.id, "name": info.name, "tag": info.tag})
    return shown


def _kept_options(step: Step, request: FilterRequest) -> dict:
    """The options that were not named and stay other than by default."""
    defaults = FilterOptions().as_dict()
    options = step.options.as_dict().items()
    return {name: value for name, value in options if name not in request.options and value != defaults[name]}


def _reminders(steps: list[Step]) -> list[str]:
    """On every run, why a filter is not in the mode that ``auto`` would rather have."""
    reasons = {step.name: (step.before or {}).get("mode_reason") for step in steps}
    return [_fallback_note(name, reason) for name, reason in reasons.items() if reason]


def _prediction_warnings(steps: list[Step]) -> list[str]:
    if any(step.needed for step in steps) and not compiler.bcc_directory():
        return ["this host has no BCC yet, so the run itself needs the package python3-bpfcc or python3-bcc first"]
    return _reminders([step for step in steps if not step.switches])
