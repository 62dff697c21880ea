# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile each program once with BCC, and load it again without BCC.

Compiling takes a second, and tests load the same few programs thousands of times. The kernel verifies and runs exactly
the instructions that BCC made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct

import kept

try:
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, compiler, schema
except ImportError:  # in a process that runs the installed runtime
    from pingkiller.kernel import bpf, compiler, schema

_XDP, _CLASSIFIER = 6, 3
_LOAD_64, _FROM_MAP = 0x18, 1
_PLACES = ("HOST_PINS", "LIST_PINS", "FILTER_PINS")  #: directories of pinned maps; one may be inside an earlier one
_INSTRUCTION = struct.Struct("=BBhi")  #: operation, registers (source in the upper half), offset, immediate value

by_bcc = compiler.compile_program


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str):
    """Replace the compiler's function of this name. The same arguments compile once, wherever the maps are pinned."""
    directories = {place: json.loads(defines[place]) for place in _PLACES}
    # The hook decides only the program type: tc_ingress and tc_egress have the same program.
    described = json.dumps([sources, {**defines, **dict.fromkeys(_PLACES)}, hook == "xdp"], sort_keys=True).encode()
    found = kept.once(hashlib.sha256(described).hexdigest(), lambda: _build(sources, defines, hook, directories))
    return _load(found, hook, directories)


def anew() -> None:
    """Always compile with BCC in this process, as on a host. Call this before the process builds its first program."""
    compiler.compile_program = by_bcc


def _build(sources: dict[str, str], defines: dict[str, str], hook: str, directories: dict[str, str]) -> dict:
    """Compile, and return the instructions with a description of each map that they refer to."""
    function = by_bcc(sources, defines, hook)
    code = function.bpf.dump_func(schema.FUNCTION.encode())
    pins = _pins(directories)
    maps = {}
    for start in range(0, len(code), _INSTRUCTION.size):
        operation, registers, _offset, number = _INSTRUCTION.unpack_from(code, start)
        if operation == _LOAD_64 and registers >> 4 == _FROM_MAP:
            with bpf.Map(os.dup(number)) as found:
                maps[start] = pins.get(found.map_id), found.name, found.info
    return {"code": code.hex(), "maps": maps}


def _pins(directories: dict[str, str]) -> dict[int, tuple[str, str]]:
    """Return the pinned maps by id: the last of the directories that contains the pin, and the path from there."""
    found = {}
    for place, directory in directories.items():
        for inside, _directories, names in os.walk(directory):
            for path in (os.path.join(inside, name) for name in names):
                with bpf.Map.open(path) as each:
                    found[each.map_id] = place, os.path.relpath(path, directory)
    return found


def _load(found: dict, hook: str, directories: dict[str, str]):
    """Load the program with the maps that are pinned now, and new maps for the rest. Return BCC's function object."""
    from bcc import BPF

    code = bytearray.fromhex(found["code"])
    with contextlib.ExitStack() as stack:
        maps: dict[tuple, bpf.Map] = {}
        for start, (pin, name, info) in found["maps"].items():
            key = (name, *(pin or ()))
            if key not in maps:
                maps[key] = stack.enter_context(_map(pin, name, info, directories))
            struct.pack_into("=i", code, int(start) + 4, maps[key].fd)
        program = bpf.Program.load(schema.FUNCTION, _XDP if hook == "xdp" else _CLASSIFIER, bytes(code))
    return BPF.Function(None, schema.FUNCTION.encode(), program.fd)


def _map(pin: tuple[str, str] | None, name: str, info, directories: dict[str, str]) -> bpf.Map:
    if not pin:
        return bpf.Map.create(name, bpf.MapInfo(*info))
    place, path = pin
    return bpf.Map.open(os.path.join(directories[place], path))
