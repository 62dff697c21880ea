# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C sources in the runtime: what the role installs on a host, this library and the sources, for the command ``pingkiller``."""

from __future__ import annotations

import os

from ..errors import PingKillerError

_TRACERS = "trace/"  #: the directory below bpf/
_SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bpf")


def without_tracers(files: dict[str, str]) -> dict[str, str]:
    """Return the files that a filter is compiled from, which its build id covers. ``files`` are by their path below bpf/."""
    return {name: text for name, text in files.items() if not name.startswith(_TRACERS)}


def of_tracers(files: dict[str, str]) -> dict[str, str]:
    """Return the files that a tracer is compiled from. ``files`` are by their path below bpf/."""
    return {name: text for name, text in files.items() if name.startswith((_TRACERS, "include/"))}


def sources() -> dict[str, str]:
    """Return the C sources of the filter in the runtime, by their path below bpf/. Raises PingKillerError."""
    return without_tracers(_carried())


def trace_sources() -> dict[str, str]:
    """Return the C sources of the tracers in the runtime, by their path below bpf/. Raises PingKillerError."""
    return of_tracers(_carried())


def _carried() -> dict[str, str]:
    if not os.path.isdir(_SOURCES):
        raise PingKillerError("the C sources are not here: run this from the runtime that the role installs")
    found = {}
    for directory, _directories, names in os.walk(_SOURCES):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, encoding="utf-8") as file:
                found[os.path.relpath(path, _SOURCES)] = file.read()
    return found
