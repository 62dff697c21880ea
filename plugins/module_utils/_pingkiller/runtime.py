# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime: this library and the C sources in one file on the host, which is also the command ``pingkiller``."""

from __future__ import annotations

from importlib import resources

from .errors import PingKillerError


def sources() -> dict[str, str]:
    """The C sources that came with the runtime, by their path below bpf/."""
    top = resources.files(__package__).joinpath("bpf")
    if not top.is_dir():
        raise PingKillerError("the C sources are not here: run this from the runtime that the role installs")
    return dict(_files(top, ""))


def _files(directory, prefix: str):
    for each in directory.iterdir():
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each.read_text(encoding="utf-8")
