# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each filter needs to be as asked for. Planning reads only, and all that can be refused is refused here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from ..errors import PingKillerError, listed, quoted, shortened
from ..kept.directory import Store
from ..kept.edit import Edit
from ..kept.filter_notes import HostNote, plan_filters, plan_owner
from ..kernel import bcc_package, links, netlink, routes, schema
from ..store import entry_list, filter_meta, filter_programs, hooks, host_maps, limits, lost_pins, recovery
from ..store.pins import Pins
from . import definitions
from .options import FilterOptions
from .request import Asked, FilterRequest, require_printable


class Step(NamedTuple):
    """What one filter needs to be as asked for."""

    name: str
    link: netlink.Link
    options: FilterOptions
    defines: dict[str, str]  #: for the compiler
    bcc_version: str
    build_id: str
    before: filter_meta.RunningFilter | None  #: our filter as it runs
    old: hooks.Attached | None  #: the program to replace, ours or, with force, a foreign one
    left: hooks.Attached | None  #: what stands in for it since a change of its mode was interrupted
    needed: bool

    @property
    def switches(self) -> bool:
        """Whether the mode of an XDP program is to be changed, or was when the run was interrupted."""
        if self.options.hook != schema.XDP:
            return False
        mode = self.before.mode if self.before else self.old and self.old.mode
        return bool(
            self.left or (self.old and not _mode_settled(mode, self.noted, options=self.options, link=self.link))
        )

    @property
    def noted(self) -> filter_meta.Noted:
        """What was noted of the filter as it runs; empty if it does not run."""
        return self.before.noted if self.before else filter_meta.Noted()

    def kept_options(self, request: FilterRequest) -> dict[str, Any]:
        """The options that were not named and are not at their default."""
        defaults = FilterOptions().as_dict()
        options = self.options.as_dict().items()
        return {name: value for name, value in options if name not in request.options and value != defaults[name]}


class Plan(NamedTuple):
    """What a request comes to on a host."""

    asked: Asked
    steps: list[Step]  #: also of filters that are taken along
    capacity: int | None  #: of the lists as they are; None if there are none
    new_capacity: int
    replaces_maps: bool  #: for another capacity, or because the maps are of an earlier schema
    kept: list[Edit]  #: what changes of what is noted for the boot, and of who wants the filters
    own_name: Callable[[str], str]  #: see ``own_names``

    @property
    def needed(self) -> list[Step]:
        return [step for step in self.steps if step.needed]


def usable_links(request: FilterRequest) -> list[netlink.Link]:
    """Return the interfaces, once each, whichever of their names were given. Raises PingKillerError for an unusable one."""
    names = routes.default_interfaces() if request.interfaces is None else request.interfaces
    if not names:
        raise PingKillerError("this host has no default route to take the interface from: name one with interface")
    return list({link.ifindex: link for link in map(_usable_link, names)}.values())


def ask(pins: Pins, request: FilterRequest, links: list[netlink.Link]) -> Asked:
    """Return the options that each filter is to have. Raises PingKillerError for bad ones, before anything is put right."""
    asked = {}
    for link in links:
        name = hooks.filter_name(link.name, request.hook)
        noted = {} if request.reset else lost_pins.noted_options(pins, link, name)
        asked[name] = FilterOptions.from_dict({**noted, "hook": request.hook}).changed_by(request.options)
    return asked


def make_plan(pins: Pins, request: FilterRequest, asked: Asked, own_name: Callable[[str], str]) -> Plan:
    """Plan what each filter needs. Reads only. Raises PingKillerError for everything that can be refused."""
    capacity = _capacity(pins, request)
    version = _bcc_version_or_none()
    earlier = host_maps.schema_number(pins) != schema.SCHEMA_VERSION
    moves = capacity is not None and (earlier or request.capacity not in (None, capacity))
    steps = [
        _step(pins, request, name, options=options, bcc_version=version, rebuild=moves)
        for name, options in asked.items()
    ]
    if moves:
        steps += steps_of_others(pins, request, named=asked, bcc_version=version, rebuild=True)
    new_capacity = request.capacity or capacity or limits.DEFAULT_CAPACITY
    return Plan(
        asked=asked,
        steps=steps,
        capacity=capacity,
        new_capacity=new_capacity,
        replaces_maps=moves,
        kept=_plan_kept(pins, request, asked, new_capacity=new_capacity, own_name=own_name),
        own_name=own_name,
    )


def _bcc_version_or_none() -> str | None:
    """Check mode works before BCC is installed; compiling is what complains."""
    return bcc_package.version() if bcc_package.directory() else None


def _capacity(pins: Pins, request: FilterRequest) -> int | None:
    """The lists' capacity. Raises PingKillerError if they hold more than the request leaves room for."""
    if request.capacity is not None and not 0 < request.capacity <= limits.MAX_CAPACITY:
        raise PingKillerError(
            f"max_entries={shortened(str(request.capacity))} is out of range: give 1 to {limits.MAX_CAPACITY}"
        )
    capacity = None
    for name in schema.LISTS:
        with entry_list.opened_list(pins, name) as entries:
            if entries is None:
                continue
            capacity = entries.capacity
            if request.capacity is not None and entries.count > request.capacity:
                raise PingKillerError(
                    f"max_entries={request.capacity} is less than the {entries.count} entries of the {name}: "
                    f"remove entries first or give {entries.count} or more"
                )
    return capacity


def steps_of_others(
    pins: Pins, request: FilterRequest, *, named: Collection[str], bcc_version: str | None, rebuild: bool
) -> list[Step]:
    """Plan the host's other filters: new lists mean new programs for them too, with the options that they have."""
    steps = []
    for name in pins.filters():
        found = filter_meta.running(pins, name)
        if name not in named and found and found.noted.options:
            options = FilterOptions.from_dict(found.noted.options)
            steps.append(_step(pins, request, name, options=options, bcc_version=bcc_version, rebuild=rebuild))
    return steps


def _step(
    pins: Pins, request: FilterRequest, name: str, *, options: FilterOptions, bcc_version: str | None, rebuild: bool
) -> Step:
    link = _usable_link(hooks.split_name(name)[0])
    _check_maps(pins, name)
    before = filter_meta.running(pins, name)
    noted = before.noted if before else filter_meta.Noted()
    defines = definitions.of(options)
    # Without BCC, what it will be once it is installed is not known; most likely what compiled the filter that runs.
    version = bcc_version or noted.bcc_version or "none"
    build_id = definitions.build_id(request.sources, defines, version)
    left = filter_programs.stand_in(pins, name)
    settled = (
        before is not None
        and before.reads_current_lists
        and (noted.build_id, noted.options) == (build_id, options.as_dict())
        and _mode_settled(before.mode, noted, options=options, link=link)
    )
    return Step(
        name=name,
        link=link,
        options=options,
        defines=defines,
        bcc_version=version,
        build_id=build_id,
        before=before,
        old=_to_replace(pins, link, name, before=before, force=request.force),
        left=left,
        needed=rebuild or left is not None or not settled,
    )


def _check_maps(pins: Pins, name: str) -> None:
    """Raises PingKillerError if what is pinned for a filter is not what it takes."""
    for map_name, info in schema.of_schema(schema.FILTER_MAPS, host_maps.schema_number(pins)).items():
        found = pins.open_map(pins.filter_pin(name, map_name), info)
        if found:
            found.close()


def _to_replace(
    pins: Pins, link: netlink.Link, name: str, *, before: filter_meta.RunningFilter | None, force: bool
) -> hooks.Attached | None:
    """Return the program that the new one replaces. Raises PingKillerError if it is somebody else's, without force."""
    hook = hooks.split_name(name)[1]
    if before:
        stands_in = hook == schema.XDP and before.attached.classifier
        return None if stands_in else before.attached
    lost = lost_pins.lost(pins, link, name)
    return lost or _foreign(link, hook=hook, force=force)


def _usable_link(name: str) -> netlink.Link:
    require_printable(name)
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


def _foreign(link: netlink.Link, *, hook: str, force: bool) -> hooks.Attached | None:
    """Return somebody else's program, which force lets us replace. Raises PingKillerError without force.

    On tc, programs live side by side, so nobody is in the way.
    """
    if hook != schema.XDP or not link.programs:
        return None
    found = hooks.programs(link, hook)[0]
    info = filter_programs.program_info(found.program_id)
    described = f"id {found.program_id}" + (f", name {info.name or '(none)'}, tag {info.tag}" if info else "")
    hint = "; it may be a filter with another base" if info and info.name == schema.FUNCTION else ""
    held = links.xdp_link(link.ifindex, found.program_id)
    if held is None and force:
        return found
    way_out = _way_past_link(*held) if held else "remove it, set force: true to replace it"
    raise PingKillerError(
        f"interface {link.name!r} already has an XDP program that is not PingKiller's ({described}, {found.mode} mode{hint}): "
        f"it was left alone; {way_out}, or use hook: tc_ingress beside it"
    )


def _way_past_link(identity: int, holders: list[str]) -> str:
    """Say what to do about a bpf_link: the kernel lets only its maker replace the program that it holds."""
    holder = f"of {', '.join(holders)}" if holders else "that is pinned on a BPF file system"
    return (
        f"bpf_link {identity} {holder} holds it, so that not even force: true could replace it; end what made the link, or "
        f"break it with 'bpftool link detach id {identity}'"
    )


def _mode_settled(mode: str | None, noted: filter_meta.Noted, *, options: FilterOptions, link: netlink.Link) -> bool:
    """Whether the mode that runs is the one asked for.

    ``auto`` that ended in generic mode is tried again when frames are smaller than they were, what drivers refuse most.
    """
    if options.hook != schema.XDP:
        return True
    if options.mode != "auto" or mode == "native":
        return options.mode in (mode, "auto")
    return noted.options.get("mode") == "auto" and link.mtu >= noted.mtu


def own_names(pins: Pins) -> Callable[[str], str]:
    """Return a function that gives a filter its present name, also if its interface was renamed and its pins were not."""
    renamed = recovery.renamed(pins)
    return lambda name: renamed.get(name) or filter_programs.own_name(name)


def _plan_kept(
    pins: Pins, request: FilterRequest, asked: Asked, *, new_capacity: int, own_name: Callable[[str], str]
) -> list[Edit]:
    """Plan what is noted. The filters that a change of capacity takes along stay as they are noted."""
    if request.store is None:
        return []
    kept = {name: {**options.as_dict(), "force": request.force} for name, options in asked.items()}
    about_host = HostNote(base=pins.base, max_entries=new_capacity)
    edits = [plan_owner(request.store, asked, owner=request.owner, own_name=own_name)] if request.owner else []
    if request.persist is not None:
        wanted = {**to_forget(request.store, asked), **(kept if request.persist else {})}
        edits += plan_filters(request.store, about_host, wanted)
    return edits


def to_forget(store: Store, names: Iterable[str]) -> dict[str, None]:
    """Return filters to forget: those of these names, also under names that their interfaces had before."""
    forgotten = dict.fromkeys(names)
    noted = (hooks.filter_name(each, hook) for each in store.names("filters") for hook in schema.HOOKS)
    return {**forgotten, **dict.fromkeys(name for name in noted if filter_programs.own_name(name) in forgotten)}
