# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What BCC has built once is loaded again without it: it takes a second, and tests build the same few programs thousands
of times. The kernel verifies and runs the very instructions that BCC made.
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
except ImportError:  # in the process of a runtime
    from pingkiller.kernel import bpf, compiler, schema

_XDP, _CLASSIFIER = 6, 3
_LOAD_64, _FROM_MAP = 0x18, 1
_PLACES = ("HOST_PINS", "LIST_PINS", "FILTER_PINS")  #: directories of maps: each in the one before it, or beside it
_INSTRUCTION = struct.Struct("=BBhi")  #: operation, registers (the source in the upper half), offset, number

by_bcc = compiler.compile_program


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str):
    """What the compiler's function of this name does, once for the same arguments, wherever the maps are pinned."""
    directories = {place: json.loads(defines[place]) for place in _PLACES}
    # Of the hook, only the kind of program matters: what leaves meets the program that what arrives meets.
    described = json.dumps([sources, {**defines, **dict.fromkeys(_PLACES)}, hook == "xdp"], sort_keys=True).encode()
    found = kept.once(hashlib.sha256(described).hexdigest(), lambda: _build(sources, defines, hook, directories))
    return _load(found, hook, directories)


def anew() -> None:
    """What a module's process calls first that is to meet all that it meets on a host: it compiles, whatever is kept."""
    compiler.compile_program = by_bcc


def _build(sources: dict[str, str], defines: dict[str, str], hook: str, directories: dict[str, str]) -> dict:
    """The instructions, with what each map is whose file descriptor is in them."""
    function = by_bcc(sources, defines, hook)
    code = function.bpf.dump_func(schema.FUNCTION.encode())
    pins = _pins(directories)
    maps = {}
    for start in range(0, len(code), _INSTRUCTION.size):
        operation, registers, _offset, number = _INSTRUCTION.unpack_from(code, start)
        if operation == _LOAD_64 and registers >> 4 == _FROM_MAP:
            with bpf.Map(os.dup(number)) as found:
                maps[start] = pins.get(found.id), found.name, found.info
    return {"code": code.hex(), "maps": maps}


def _pins(directories: dict[str, str]) -> dict[int, tuple[str, str]]:
    """The maps that are pinned below these directories, by id: the last place that the pin is in, and its path from there."""
    found = {}
    for place, directory in directories.items():
        for inside, _directories, names in os.walk(directory):
            for path in (os.path.join(inside, name) for name in names):
                with bpf.Map.open(path) as each:
                    found[each.id] = place, os.path.relpath(path, directory)
    return found


def _load(found: dict, hook: str, directories: dict[str, str]):
    """BCC's function object of the program, loaded with the maps that are pinned there now, and own ones of those that are not."""
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
