# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime: this library and the C sources in one file on the host, which is also the command ``pingkiller``."""

from __future__ import annotations

from importlib import resources

from ..errors import PingKillerError

_TRACERS = "trace/"  #: the directory below bpf/


def without_tracers(files: dict[str, str]) -> dict[str, str]:
    """Of the files below bpf/, by their path there, those that a filter is compiled of: they are its build id."""
    return {name: text for name, text in files.items() if not name.startswith(_TRACERS)}


def of_tracers(files: dict[str, str]) -> dict[str, str]:
    """And those that a tracer is compiled of."""
    return {name: text for name, text in files.items() if name.startswith((_TRACERS, "include/"))}


def sources() -> dict[str, str]:
    """The C sources of the filter that came with the runtime."""
    return without_tracers(_carried())


def trace_sources() -> dict[str, str]:
    """Those of the tracers."""
    return of_tracers(_carried())


def _carried() -> dict[str, str]:
    top = resources.files(str(__package__).rpartition(".")[0]).joinpath("bpf")
    if not top.is_dir():
        raise PingKillerError("the C sources are not here: run this from the runtime that the role installs")
    return dict(_files(top, ""))


def _files(directory, prefix: str):
    for each in directory.iterdir():
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each.read_text(encoding="utf-8")
