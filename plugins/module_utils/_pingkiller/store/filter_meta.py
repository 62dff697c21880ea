# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is noted about a filter in its ``meta`` map: options, mode, program, build id.

Kept apart from the code that changes filters, because facts read it and a module takes every file that it imports to the
host.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..kernel import bpf, schema
from . import filter_programs, hooks
from .pins import Pins


class Noted(NamedTuple):
    """What was noted about a filter when it was attached. A field that was not noted has its default."""

    schema: int | None = None
    version: str | None = None  #: of the collection
    build_id: str | None = None
    bcc_version: str | None = None
    options: dict[str, Any] = {}
    attached_at: int | None = None  #: seconds since 1970
    mode: str | None = None
    mode_reason: str | None = None  #: why ``auto`` did not choose native
    mtu: int = 0  #: of the interface, bytes
    program_id: int | None = None
    base: str | None = None  #: where the pins are
    made_clsact: bool = False  #: whether PingKiller made the interface's clsact qdisc for it
    lent: dict[str, Any] = {}  #: options that were changed only for a while, with the values to put back


_TYPES = {
    **dict.fromkeys(("schema", "attached_at", "mtu", "program_id"), int),
    **dict.fromkeys(("version", "build_id", "bcc_version", "mode", "mode_reason", "base"), str),
    "options": dict,
    "made_clsact": bool,
    "lent": dict,
}


class RunningFilter(NamedTuple):
    """A filter that is attached: what the kernel says about it, and what was noted."""

    attached: hooks.Attached
    info: bpf.ProgramInfo
    reads_current_lists: bool
    noted: Noted  #: empty if the meta map is about another program

    @property
    def mode(self) -> str:
        return self.attached.mode


def read(pins: Pins, name: str) -> Noted:
    """Return what was noted about a filter; empty if nothing was."""
    # Of any size: filters of other versions have to be removable.
    found = pins.open_map(pins.filter_pin(name, "meta"))
    if found is None:
        return Noted()
    with found:
        return decode(found)


def decode(meta: bpf.Map) -> Noted:
    """Return what a meta map says; empty if the text is not ours, or of a version that wrote something else."""
    text = (meta.lookup(schema.ZERO) or b"").rstrip(b"\0")
    try:
        content = json.loads(text)
    except ValueError:
        return Noted()
    if not isinstance(content, dict) or not isinstance(content.get("options", {}), dict):
        return Noted()
    return Noted(**{name: content[name] for name, kind in _TYPES.items() if isinstance(content.get(name), kind)})


def store(meta: bpf.Map, noted: Noted) -> None:
    meta.update(schema.ZERO, json.dumps(noted._asdict()).encode().ljust(schema.META_SIZE, b"\0"))


def running(pins: Pins, name: str) -> RunningFilter | None:
    """Return a filter, or None if it is not attached."""
    found = filter_programs.running(pins, name)
    if not found:
        return None
    noted = read(pins, name)
    return RunningFilter(
        attached=found.attached,
        info=found.info,
        reads_current_lists=filter_programs.reads_lists(pins, found.info),
        noted=noted if noted.program_id == found.info.id else Noted(),
    )
