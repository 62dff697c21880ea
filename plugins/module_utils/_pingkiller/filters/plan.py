# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a change of filters. Planning only reads, and refuses everything that can be refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from ..errors import PingKillerError, shortened
from ..kept.directory import Store
from ..kept.edit import Edit
from ..kept.filter_notes import HostNote
from ..kept.filter_owners import plan_owner
from ..kept.filter_plan import plan_filters
from ..kernel import bcc_package, netlink, schema, xdp_links
from ..store import entry_list, filter_meta, filter_programs, hooks, host_maps, limits, lost_pins, recovery
from ..store.pins import Pins
from . import definitions
from .interfaces import usable_link
from .options import FilterOptions
from .request import Asked, FilterRequest


class Step(NamedTuple):
    """The work for one filter."""

    name: str
    link: netlink.Link
    options: FilterOptions
    defines: dict[str, str]  #: for the compiler
    bcc_version: str
    build_id: str
    before: filter_meta.RunningFilter | None  #: our filter as it runs
    old: hooks.Attached | None  #: the program to replace; with force, also a foreign one
    left: hooks.Attached | None  #: the stand-in that an interrupted change of mode has left
    needed: bool
    lent: dict[str, Any]  #: options that are changed only for a while, with the values to put back

    @property
    def switches(self) -> bool:
        """True if the mode of an XDP program changes now, or was changing when an earlier run was interrupted."""
        if self.options.hook != schema.XDP:
            return False
        mode = self.before.mode if self.before else self.old and self.old.mode
        return bool(
            self.left or (self.old and not _mode_settled(mode, self.noted, options=self.options, link=self.link))
        )

    @property
    def noted(self) -> filter_meta.Noted:
        """The notes of the running filter; empty if it does not run."""
        return self.before.noted if self.before else filter_meta.Noted()

    def kept_options(self, request: FilterRequest) -> dict[str, Any]:
        """Return the options that the request does not name and that differ from their defaults."""
        defaults = FilterOptions().as_dict()
        options = self.options.as_dict().items()
        return {name: value for name, value in options if name not in request.options and value != defaults[name]}


class Plan(NamedTuple):
    """The plan for a request on a host."""

    asked: Asked
    steps: list[Step]  #: also for other filters that have to be replaced
    capacity: int | None  #: of the current lists; None if there are none
    new_capacity: int
    replaces_maps: bool  #: because of another capacity or an earlier schema
    kept: list[Edit]  #: changes of the stored filters for the boot, and of their owners
    own_name: Callable[[str], str]  #: see ``own_names``

    @property
    def needed(self) -> list[Step]:
        return [step for step in self.steps if step.needed]


def ask(pins: Pins, request: FilterRequest, links: list[netlink.Link]) -> Asked:
    """Return the options for each filter. Raises PingKillerError for bad ones, before anything is repaired."""
    asked = {}
    for link in links:
        name = hooks.filter_name(link.name, request.hook)
        noted = {} if request.reset else lost_pins.noted_options(pins, link, name)
        asked[name] = FilterOptions.from_dict({**noted, "hook": request.hook}).changed_by(request.options)
    return asked


def make_plan(pins: Pins, request: FilterRequest, asked: Asked, *, own_name: Callable[[str], str]) -> Plan:
    """Plan the work for each filter. Only reads. Raises PingKillerError for everything that can be refused."""
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
    """Return the version of BCC. Check mode works without BCC; compiling reports that it is missing."""
    return bcc_package.version() if bcc_package.directory() else None


def _capacity(pins: Pins, request: FilterRequest) -> int | None:
    """Return the lists' capacity. Raises PingKillerError if they have more entries than the requested capacity."""
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
    """Plan the host's other filters, with their current options. New lists need new programs for these filters, too."""
    steps, request = [], request._replace(options={}, lent=False)
    for name in pins.filters():
        found = filter_meta.running(pins, name)
        if name not in named and found and found.noted.options:
            options = FilterOptions.from_dict(found.noted.options)
            steps.append(_step(pins, request, name, options=options, bcc_version=bcc_version, rebuild=rebuild))
    return steps


def _step(
    pins: Pins, request: FilterRequest, name: str, *, options: FilterOptions, bcc_version: str | None, rebuild: bool
) -> Step:
    link = usable_link(hooks.split_name(name)[0])
    _check_maps(pins, name)
    before = filter_meta.running(pins, name)
    if request.only_running and before is None:
        raise PingKillerError(
            f"the filter on {name!r} does not run any more: nothing was changed; set it up again first"
        )
    noted = before.noted if before else filter_meta.Noted()
    defines = definitions.of(options)
    # Without BCC, assume the version that compiled the running filter: the version to be installed is not known.
    version = bcc_version or noted.bcc_version or "none"
    sources_digest = request.sources_digest or definitions.digest(request.sources)
    build_id = definitions.build_id(sources_digest, defines, version)
    left = filter_programs.stand_in(pins, name)
    lent = _lent(request, noted, options.as_dict())
    settled = (
        before is not None
        and lent == noted.lent
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
        lent=lent,
    )


def _lent(request: FilterRequest, noted: filter_meta.Noted, options: dict[str, Any]) -> dict[str, Any]:
    """Return which options the filter has only for a while from now on, with the values to put back.

    Whoever sets a lent option in earnest ends the loan, also if the value is the same.
    """
    unchanged = {name: value for name, value in noted.options.items() if options.get(name) == value}
    changed = {name: noted.options[name] for name in request.options if name in noted.options and name not in unchanged}
    ended = () if request.lent else request.options
    kept = {name: value for name, value in noted.lent.items() if name in unchanged and name not in ended}
    return {**(changed if request.lent else {}), **kept}


def _check_maps(pins: Pins, name: str) -> None:
    """Check the layout of a filter's pinned maps. Raises PingKillerError."""
    for map_name, info in schema.of_schema(schema.FILTER_MAPS, host_maps.schema_number(pins)).items():
        found = pins.open_map(pins.filter_pin(name, map_name), info)
        if found:
            found.close()


def _to_replace(
    pins: Pins, link: netlink.Link, name: str, *, before: filter_meta.RunningFilter | None, force: bool
) -> hooks.Attached | None:
    """Return the program to replace. Raises PingKillerError for a foreign program without force."""
    hook = hooks.split_name(name)[1]
    if before:
        stands_in = hook == schema.XDP and before.attached.classifier
        return None if stands_in else before.attached
    lost = lost_pins.lost(pins, link, name)
    return lost or _foreign(link, hook=hook, force=force)


def _foreign(link: netlink.Link, *, hook: str, force: bool) -> hooks.Attached | None:
    """Return the foreign program that force allows to replace. Raises PingKillerError without force.

    tc allows several programs, so a foreign one does not matter there.
    """
    if hook != schema.XDP or not link.programs:
        return None
    found = hooks.programs(link, hook)[0]
    info = filter_programs.program_info(found.program_id)
    described = f"id {found.program_id}" + (f", name {info.name or '(none)'}, tag {info.tag}" if info else "")
    hint = "; it may be a filter with another base" if info and info.name == schema.FUNCTION else ""
    held = xdp_links.xdp_link(link.ifindex, found.program_id)
    if held is None and force:
        return found
    way_out = _way_past_link(*held) if held else "remove it, set force: true to replace it"
    raise PingKillerError(
        f"interface {link.name!r} already has an XDP program that is not PingKiller's ({described}, {found.mode} mode{hint}): "
        f"it was left alone; {way_out}, or use hook: tc_ingress beside it"
    )


def _way_past_link(identity: int, holders: list[str]) -> str:
    """Describe how to get rid of a bpf_link. The kernel lets only its maker replace the program that it holds."""
    holder = f"of {', '.join(holders)}" if holders else "that is pinned on a BPF file system"
    return (
        f"bpf_link {identity} {holder} holds it, so that not even force: true could replace it; end what made the link, or "
        f"break it with 'bpftool link detach id {identity}'"
    )


def _mode_settled(mode: str | None, noted: filter_meta.Noted, *, options: FilterOptions, link: netlink.Link) -> bool:
    """Return whether the running mode is the one asked for.

    ``auto`` that ended in generic mode is tried again when the MTU is smaller: a large MTU is the most common reason
    for drivers to refuse native mode.
    """
    if options.hook != schema.XDP:
        return True
    if options.mode != "auto" or mode == "native":
        return options.mode in (mode, "auto")
    return noted.options.get("mode") == "auto" and link.mtu >= noted.mtu


def own_names(pins: Pins) -> Callable[[str], str]:
    """Return a function that maps a filter to its present name. The interface may have been renamed, but not its pins."""
    renamed = recovery.renamed(pins)
    return lambda name: renamed.get(name) or filter_programs.own_name(name)


def _plan_kept(
    pins: Pins, request: FilterRequest, asked: Asked, *, new_capacity: int, own_name: Callable[[str], str]
) -> list[Edit]:
    """Plan the changes of the stored filters. Filters that only get a new capacity stay as they are stored."""
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
    """Return the filters to forget: those with these names, and those stored under former names of their interfaces."""
    forgotten = dict.fromkeys(names)
    noted = (hooks.filter_name(each, hook) for each in store.names("filters") for hook in schema.HOOKS)
    return {**forgotten, **dict.fromkeys(name for name in noted if filter_programs.own_name(name) in forgotten)}
