# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what may be pinned below a base, to tell PingKiller's directories from those of other programs."""

from __future__ import annotations

from typing import NamedTuple

from ..kernel import bpf, schema
from .paths import CURRENT, NEXT

#: The pin of a filter's ``schema.CARRIED_MAP``.
CARRIED = "carried"


class KnownMap(NamedTuple):
    """A map that may be pinned in a place."""

    name: str  #: in the kernel
    info: bpf.MapInfo
    any_size: bool = False

    def fits(self, pin: str, info: bpf.MapInfo) -> bool:
        """Return whether a map at this pin has the shape of the known one, in any schema."""
        return schema.is_declared(info, pin, declared=self.info, any_size=self.any_size)


class Directory(NamedTuple):
    """A directory that may be below a base, with what may be in it by name."""

    maps: dict[str, KnownMap] = {}
    directories: dict[str, Directory] = {}
    others: Directory | None = None  #: directories of any other name

    def directory(self, name: str) -> Directory | None:
        return self.directories.get(name, self.others)


def _filter_maps() -> dict[str, KnownMap]:
    declared = {
        **schema.FILTER_MAPS,
        "timing": schema.TIMING_MAP,
        "event_budget": schema.EVENT_BUDGET_MAP,
        "sources": schema.sources_map(1),
    }
    known = {
        name: KnownMap(bpf.kernel_name(schema.FILTER_PREFIX + name), info, any_size=name in schema.SIZED_MAPS)
        for name, info in declared.items()
    }
    return {**known, CARRIED: KnownMap(CARRIED, schema.CARRIED_MAP, any_size=True)}


def _list_maps(prefix: str) -> dict[str, KnownMap]:
    return {
        name: KnownMap(bpf.kernel_name(prefix + name), info, any_size=True)
        for name, info in schema.list_maps(1).items()
    }


_LISTS = Directory(directories={name: Directory(_list_maps(prefix)) for name, prefix in schema.LIST_PREFIX.items()})

_HOST_MAPS = {**schema.HOST_MAPS, "events": schema.EVENTS_MAP, "comments": schema.COMMENTS_MAP}

BASE = Directory(
    maps={name: KnownMap(name, info) for name, info in _HOST_MAPS.items()},
    directories={
        CURRENT: _LISTS,
        NEXT: _LISTS,
        "filters": Directory(others=Directory(_filter_maps())),
    },
)
