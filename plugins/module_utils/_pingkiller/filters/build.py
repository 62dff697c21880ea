# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile filters: make their maps, and load the programs that use them."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from ..kernel import bpf, compiler, schema
from ..store import hooks, lost_pins, paths
from ..store.pins import Pins
from .attaching import Switch
from .options import FilterOptions
from .plan import Step


class Built(NamedTuple):
    """The compiled and loaded programs of a step, and its meta map."""

    program: compiler.Function
    meta: bpf.Map
    switch: Switch | None


def build(pins: Pins, sources: dict[str, str], step: Step) -> Built:
    """Make missing maps, compile the programs, and bind to each program also the maps that only user space reads."""
    pins.make_directory(pins.filter_pin(step.name))
    for name, info in filter_maps(step.options).items():
        if name in schema.SIZED_MAPS:
            _drop_other_size(pins, pins.filter_pin(step.name, name), info)
        pins.ensure(pins.filter_pin(step.name, name), info, prefix=schema.FILTER_PREFIX).close()
    if step.options.events != "none":
        pins.ensure(pins.host_pin("events"), schema.EVENTS_MAP).close()
    directories = {
        "HOST_PINS": pins.base,
        "LIST_PINS": pins.host_pin(paths.CURRENT),
        "FILTER_PINS": pins.filter_pin(step.name),
    }
    defines = {**step.defines, **{name: json.dumps(path) for name, path in directories.items()}}

    def compiled(hook: str = step.options.hook, **special: str) -> compiler.Function:
        program = compiler.compile_program(sources, {**defines, **special}, hook)
        lost_pins.bind(pins, step.name, program.fd)
        return program

    program, switch = compiled(), None
    if step.switches:
        stand_in = compiled(hooks.STAND_IN_HOOK, SWITCHING="1", HOOK_TC="1")
        switch = Switch(marking=compiled(SWITCHING="1"), stand_in=stand_in, final=program)
    return Built(program, pins.ensure(pins.filter_pin(step.name, "meta"), schema.FILTER_MAPS["meta"]), switch)


def filter_maps(options: FilterOptions) -> dict[str, bpf.MapInfo]:
    """Return the maps that a filter with these options uses."""
    wanted = dict(schema.FILTER_MAPS)
    if options.timing_sample:
        wanted["timing"] = schema.TIMING_MAP
    if options.events != "none":
        wanted["event_budget"] = schema.EVENT_BUDGET_MAP
    if options.ratelimit_pps:
        wanted["sources"] = schema.sources_map(options.ratelimit_sources)
    return wanted


def _drop_other_size(pins: Pins, path: str, info: bpf.MapInfo) -> None:
    """Remove the pin of a map if the map has another size. A new map starts with empty counts."""
    existing = pins.open_map(path, info, any_size=True)
    if existing:
        with existing:
            if existing.info != info:
                os.unlink(path)
