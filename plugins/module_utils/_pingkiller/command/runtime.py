# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C sources in the runtime: one file on the host, with this library and the sources, that is the command ``pingkiller``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING

from ..errors import PingKillerError

if TYPE_CHECKING:
    from importlib.abc import Traversable

_TRACERS = "trace/"  #: the directory below bpf/


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
    top = resources.files(str(__package__).rpartition(".")[0]).joinpath("bpf")
    if not top.is_dir():
        raise PingKillerError("the C sources are not here: run this from the runtime that the role installs")
    return dict(_files(top, ""))


def _files(directory: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for each in directory.iterdir():
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each.read_text(encoding="utf-8")
