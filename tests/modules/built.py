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
import tempfile

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, compiler, schema

_KEPT = tempfile.TemporaryDirectory(prefix="pingkiller-built-")  # of this process, and of the modules that it forks
_XDP, _CLASSIFIER = 6, 3
_LOAD_64, _FROM_MAP = 0x18, 1
_INSTRUCTION = struct.Struct("=BBhi")  #: operation, registers (the source in the upper half), offset, number

_compile = compiler.compile_program


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str):
    """What the compiler's function of this name does, once for the same arguments."""
    described = json.dumps([sources, defines, hook], sort_keys=True).encode()
    kept = os.path.join(_KEPT.name, hashlib.sha256(described).hexdigest())
    if not os.path.exists(kept):
        function = _compile(sources, defines, hook)
        _keep(kept, function.bpf.dump_func(schema.FUNCTION.encode()), defines)
        return function
    return _load(kept, hook)


def _keep(kept: str, code: bytes, defines: dict[str, str]) -> None:
    """Write the instructions down, with what each map is whose file descriptor is in them."""
    paths = _paths(json.loads(defines[name]) for name in ("HOST_PINS", "LIST_PINS", "FILTER_PINS"))
    maps = {}
    for start in range(0, len(code), _INSTRUCTION.size):
        operation, registers, _offset, number = _INSTRUCTION.unpack_from(code, start)
        if operation == _LOAD_64 and registers >> 4 == _FROM_MAP:
            with bpf.Map(os.dup(number)) as found:
                maps[start] = paths.get(found.map_id), found.name, found.info
    with open(f"{kept}.new", "w") as file:
        json.dump({"code": code.hex(), "maps": maps}, file)
    os.rename(f"{kept}.new", kept)


def _paths(directories) -> dict[int, str]:
    """The pins of maps below these directories, by the maps' ids."""
    found = {}
    for directory in directories:
        for inside, _directories, names in os.walk(directory):
            for path in (os.path.join(inside, name) for name in names):
                with bpf.Map.open(path) as each:
                    found[each.map_id] = path
    return found


def _load(kept: str, hook: str):
    """BCC's function object of the program, loaded with the maps that are pinned there now, and own ones of those that are not."""
    from bcc import BPF

    with open(kept) as file:
        built = json.load(file)
    code = bytearray.fromhex(built["code"])
    with contextlib.ExitStack() as stack:
        maps: dict[str, bpf.Map] = {}
        for start, (path, name, info) in built["maps"].items():
            if name not in maps:
                one = bpf.Map.open(path) if path else bpf.Map.create(name, bpf.MapInfo(*info))
                maps[name] = stack.enter_context(one)
            struct.pack_into("=i", code, int(start) + 4, maps[name].fd)
        program = bpf.Program.load(schema.FUNCTION, _XDP if hook == "xdp" else _CLASSIFIER, bytes(code))
    return BPF.Function(None, schema.FUNCTION.encode(), program.fd)
