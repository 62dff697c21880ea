# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what the filters of a host make of a change of a list."""

from __future__ import annotations

from ..entries.plan import Demand
from ..kernel import schema
from ..store import filter_meta, filter_programs, hooks
from ..store.pins import Pins
from .request import Foreseen


def of_filters(pins: Pins, list_name: str, demand: Demand, *, foreseen: Foreseen) -> list[str]:
    """Return sentences about filters that are missing, that go on without pins, or that do not apply the change."""
    attached = {name: found for name in pins.filters() if (found := filter_programs.running(pins, name))}
    filters = {name: _monitors(pins, name) for name in attached if name not in foreseen.removed}
    filters.update(foreseen.monitoring())
    going_on = [
        note for name in pins.filters() if name not in filters for note in filter_programs.goes_on_notes(pins, name)
    ]
    if not (filters or going_on or demand.absent):
        return ["no filter is attached on this host, so nothing is dropped yet: attach one with xdp_filter"]
    # A task that attaches a filter also makes all other filters read the lists in use.
    astray = (
        []
        if foreseen.filters
        else [name for name, found in attached.items() if not filter_programs.reads_lists(pins, found.info)]
    )
    said = going_on + [
        f"the filter on {name} reads other lists, of an interrupted change or of another mount namespace: run xdp_filter again"
        for name in astray
    ]
    if not filters or demand.absent or list_name == schema.ALLOWLIST or not demand.requested.keys:
        return said
    if all(filters.values()):
        said.append("every filter on this host has monitor=true, so nothing is dropped")
    return said + _unseen({hooks.split_name(name)[1] for name in filters}, demand)


def _monitors(pins: Pins, name: str) -> bool:
    return bool(filter_meta.read(pins, name).options.get("monitor"))


def _unseen(used: set[str], demand: Demand) -> list[str]:
    """Return sentences about directions that no filter on these hooks sees."""
    requested = demand.requested
    usual = requested.usual.sides if len(requested.others) < len(requested.keys) else ()
    sides = {*usual, *requested.others.sides()}
    said = []
    if schema.SOURCE in sides and used == {schema.TC_EGRESS}:
        said.append(
            "no filter on this host sees what arrives, so direction src stops no ping from there: "
            "attach one with hook=xdp or hook=tc_ingress"
        )
    if schema.DESTINATION in sides and schema.TC_EGRESS not in used:
        said.append(
            "no filter on this host sees what leaves, so direction dst stops nothing that the host itself sends: "
            "attach one with hook=tc_egress"
        )
    return said
