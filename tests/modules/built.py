# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What BCC has built once is loaded again without it: it takes a second, and these tests build the same few programs
thousands of times. The kernel verifies and runs the very instructions that BCC made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct

import kept

try:
    from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import bpf, compiler
except ImportError:  # in the process of a runtime
    from pingkiller import bpf, compiler

_XDP, _CLASSIFIER = 6, 3
_LOAD_64, _FROM_MAP = 0x18, 1
_PINS = "HOST_PINS", "LIST_PINS", "FILTER_PINS"  #: directories of maps: each in the one before it, or beside it
_INSTRUCTION = struct.Struct("=BBhi")  #: operation, registers (the source in the upper half), offset, number

_compile = compiler.compile_program


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str):
    """What the compiler's function of this name does, once for the same arguments. Where maps are pinned is not in the code."""
    pins = {name: json.loads(defines[name]) for name in _PINS}
    decisive = {name: value for name, value in defines.items() if name not in pins}
    described = json.dumps([sources, decisive, hook], sort_keys=True).encode()
    built = kept.once(hashlib.sha256(described).hexdigest(), lambda: _build(sources, defines, hook, pins))
    return _load(built, hook, pins)


def anew() -> None:
    """What a module's process calls first that is to meet all that it meets on a host: it compiles, whatever is kept."""
    compiler.compile_program = _compile


def _build(sources: dict[str, str], defines: dict[str, str], hook: str, pins: dict[str, str]) -> dict:
    """The instructions, with what each map is whose file descriptor is in them."""
    function = _compile(sources, defines, hook)
    code = function.bpf.dump_func(compiler.FUNCTION.encode())
    places = _places(pins)
    maps = {}
    for start in range(0, len(code), _INSTRUCTION.size):
        operation, registers, _offset, number = _INSTRUCTION.unpack_from(code, start)
        if operation == _LOAD_64 and registers >> 4 == _FROM_MAP:
            with bpf.Map(os.dup(number)) as found:
                maps[start] = places.get(found.id), found.name, found.info
    return {"code": code.hex(), "maps": maps}


def _places(pins: dict[str, str]) -> dict[int, tuple[str, str]]:
    """By the ids of maps: below which of these directories they are pinned, the innermost one, and where there."""
    found = {}
    for place, directory in pins.items():
        for inside, _directories, names in os.walk(directory):
            for path in (os.path.join(inside, name) for name in names):
                with bpf.Map.open(path) as each:
                    found[each.id] = place, os.path.relpath(path, directory)
    return found


def _load(built: dict, hook: str, pins: dict[str, str]):
    """BCC's function object of the program, loaded with the maps that are pinned there now, and own ones of those that are not."""
    from bcc import BPF

    code = bytearray.fromhex(built["code"])
    with contextlib.ExitStack() as stack:
        maps: dict[str, bpf.Map] = {}  # by path, or by name
        for start, (place, name, info) in built["maps"].items():
            path = os.path.join(pins[place[0]], place[1]) if place else ""
            if (path or name) not in maps:
                one = bpf.Map.open(path) if path else bpf.Map.create(name, bpf.MapInfo(*info))
                maps[path or name] = stack.enter_context(one)
            struct.pack_into("=i", code, int(start) + 4, maps[path or name].fd)
        program = bpf.Program.load(compiler.FUNCTION, _XDP if hook == "xdp" else _CLASSIFIER, bytes(code))
    return BPF.Function(None, compiler.FUNCTION.encode(), program.fd)
