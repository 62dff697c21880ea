# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name the directories and pins of a host.

BASE/control, owners, claims           the host's maps
BASE/events, comments                  maps that are made when they are needed
BASE/lists/blocklist/, .../allowlist/  records and the four indexes of each list
BASE/filters/INTERFACE/                counters and meta of one filter
BASE_next/, BASE_old/                  the same while all maps are replaced
"""

from __future__ import annotations

import os
import re
from typing import TypeVar

from ..errors import PingKillerError, quoted_path
from . import mounts

DEFAULT_BASE = f"{mounts.DEFAULT_MOUNT}/pingkiller"

#: Directories of the lists: in use, and being made or removed.
CURRENT, NEXT = "lists", "lists_next"

#: What is added to the base for the directories that exist beside it while all maps are replaced.
_NEW, _OLD = "_next", "_old"

_UNSAFE, _ESCAPED = (
    re.compile(rb"[^A-Za-z0-9_~-]"),
    re.compile(rb"%([0-9A-Fa-f]{2})"),
)  #: in the name of a filter's directory

_AnyPaths = TypeVar("_AnyPaths", bound="Paths")


class Paths:
    """The paths of a host's pins below one directory, its base. Nothing here creates anything."""

    def __init__(self, base: str = DEFAULT_BASE) -> None:
        normal = os.path.normpath(base)
        if (
            not os.path.isabs(base)
            or not base.isprintable()
            or "." in normal
            or normal == "/"
            or normal.endswith((_NEW, _OLD))
        ):
            raise PingKillerError(
                f"base={quoted_path(base)} cannot hold pins: give an absolute path below a BPF file system whose names can be printed, "
                f"contain no dot and end neither in {_NEW} nor in {_OLD}, for example {DEFAULT_BASE}"
            )
        self.base = normal

    def host_pin(self, name: str) -> str:
        return os.path.join(self.base, name)

    def list_pin(self, list_name: str, name: str = "", generation: str = CURRENT) -> str:
        return os.path.join(self.base, generation, list_name, name).rstrip("/")

    def filter_pin(self, filter_name: str, name: str = "") -> str:
        return os.path.join(self.base, "filters", _component(filter_name), name).rstrip("/")

    def exists(self) -> bool:
        return os.path.isdir(self.base)

    def has_lists(self) -> bool:
        return os.path.isdir(self.host_pin(CURRENT))

    def filters(self) -> list[str]:
        """Return the sorted names of the filters that have pins, whether or not their programs are attached."""
        directory = self.host_pin("filters")
        self.refuse_links(directory)
        try:
            return sorted(map(_filter_name, os.listdir(directory)))
        except FileNotFoundError:
            return []

    def refuse_links(self, path: str) -> None:
        """Raise PingKillerError if the base, the path, or a directory between them is a symbolic link."""
        part = os.path.normpath(self.base)
        for name in path[len(self.base) :].split(os.sep):  # the first is empty, for the base itself
            part += f"/{name}" if name else ""
            if os.path.islink(part):
                raise PingKillerError(
                    f"{part} is a symbolic link to {quoted_path(os.readlink(part))}, which PingKiller never makes: nothing was changed "
                    f"through it; find out who made it, remove it, and run again"
                )

    # While all maps are replaced, there are others beside them

    @property
    def new(self: _AnyPaths) -> _AnyPaths:
        """The maps that are made to replace the maps of this base."""
        return self._beside(_NEW)

    @property
    def old(self: _AnyPaths) -> _AnyPaths:
        """The maps that the maps of this base have replaced."""
        return self._beside(_OLD)

    def _beside(self: _AnyPaths, suffix: str) -> _AnyPaths:
        beside = object.__new__(type(self))  # its name would be refused as a base
        beside.base = self.base + suffix
        return beside

    def in_use(self: _AnyPaths) -> _AnyPaths:
        """Return the pins to read from: the old ones if a run was killed between the two renames of ``Pins.swap``."""
        return self.old if not self.exists() and self.old.exists() else self


def _component(filter_name: str) -> str:
    """Return a filter's name as the name of a directory: what is no letter, digit, dash, underscore or tilde is %XX.

    The BPF file system reserves the dot, which VLAN names contain. urllib.parse can do nearly this, and takes longer to import
    than most subcommands take to look at a host.
    """
    return _UNSAFE.sub(lambda found: f"%{found[0][0]:02X}".encode(), os.fsencode(filter_name)).decode()


def _filter_name(component: str) -> str:
    """Return the name of the filter whose directory this is."""
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), os.fsencode(component)))
