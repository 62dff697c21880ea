# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter notes of itself in its ``meta`` map: options, mode, program, build id.

Apart from what changes filters, because facts read it and every file that a module imports travels to the host with it.
"""

from __future__ import annotations

import json

from ..kernel import bpf, schema
from . import filter_programs
from .pins import Pins


def read(pins: Pins, name: str) -> dict:
    """What was noted when the filter was attached; empty if nothing was."""
    # Of any size: a filter of another version has to be removable.
    found = pins.open(pins.filter(name, "meta"))
    if found is None:
        return {}
    with found:
        return decode(found)


def decode(meta: bpf.Map) -> dict:
    """What was noted; nothing if what is there was not written by us, or by a version that wrote something else."""
    text = (meta.lookup(schema.ZERO) or b"").rstrip(b"\0")
    try:
        noted = json.loads(text)
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) and isinstance(noted.get("options", {}), dict) else {}


def store(meta: bpf.Map, noted: dict) -> None:
    meta.update(schema.ZERO, json.dumps(noted).encode().ljust(schema.META_SIZE, b"\0"))


def running(pins: Pins, name: str) -> dict | None:
    """A filter that is attached: where, its program and, if the meta map speaks of that, the rest. None if it is not."""
    found = filter_programs.running(pins, name)
    if not found:
        return None
    noted = read(pins, name)
    known = noted if noted.get("program_id") == found.info.id else {}
    current = filter_programs.reads_lists(pins, found.info)
    return {
        **known,
        "mode": found.attached.mode,
        "attached": found.attached,
        "info": found.info,
        "current_lists": current,
    }
