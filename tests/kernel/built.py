# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What BCC has built once is loaded again without it: it takes a second, and tests build the same few programs thousands
of times. The kernel verifies and runs the very instructions that BCC made.

What is kept is of one run of tests, and shared by all its processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import struct
import tempfile

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import bpf, compiler, schema

_SHARED = "PINGKILLER_BUILT"  #: a directory, which the processes of pytest-xdist are given by the one that starts them
if _SHARED not in os.environ:
    _MADE_HERE = tempfile.TemporaryDirectory(prefix="pingkiller-built-")  # it goes with this process
    os.environ[_SHARED] = _MADE_HERE.name
_PLACES = ("HOST_PINS", "LIST_PINS", "FILTER_PINS")  #: of pins, the others below the first
_XDP, _CLASSIFIER = 6, 3
_LOAD_64, _FROM_MAP = 0x18, 1
_INSTRUCTION = struct.Struct("=BBhi")  #: operation, registers (the source in the upper half), offset, number

by_bcc = compiler.compile_program


def compile_program(sources: dict[str, str], defines: dict[str, str], hook: str):
    """What the compiler's function of this name does, once for the same arguments, wherever the maps are pinned."""
    directories = {place: json.loads(defines[place]) for place in _PLACES}
    # Of the hook, only the kind of program matters: what leaves meets the program that what arrives meets.
    described = json.dumps([sources, {**defines, **dict.fromkeys(_PLACES)}, hook == "xdp"], sort_keys=True)
    kept = os.path.join(os.environ[_SHARED], hashlib.sha256(described.encode()).hexdigest())
    with open(f"{kept}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(kept):
            function = by_bcc(sources, defines, hook)
            _keep(kept, function.bpf.dump_func(schema.FUNCTION.encode()), directories)
            return function
    return _load(kept, directories, hook)


def _keep(kept: str, code: bytes, directories: dict[str, str]) -> None:
    """Write the instructions down, with what each map is whose file descriptor is in them."""
    pins = _pins(directories)
    maps = {}
    for start in range(0, len(code), _INSTRUCTION.size):
        operation, registers, _offset, number = _INSTRUCTION.unpack_from(code, start)
        if operation == _LOAD_64 and registers >> 4 == _FROM_MAP:
            with bpf.Map(os.dup(number)) as found:
                maps[start] = pins.get(found.id), found.name, found.info
    with open(f"{kept}.new", "w") as file:
        json.dump({"code": code.hex(), "maps": maps}, file)
    os.rename(f"{kept}.new", kept)


def _pins(directories: dict[str, str]) -> dict[int, tuple[str, str]]:
    """The maps that are pinned below these directories, by id: the last place that the pin is in, and its path from there."""
    found = {}
    for place, directory in directories.items():
        for inside, _directories, names in os.walk(directory):
            for path in (os.path.join(inside, name) for name in names):
                with bpf.Map.open(path) as each:
                    found[each.id] = place, os.path.relpath(path, directory)
    return found


def _load(kept: str, directories: dict[str, str], hook: str):
    """BCC's function object of the program, loaded with the maps that are pinned there now, and own ones of those that are not."""
    from bcc import BPF

    with open(kept) as file:
        built = json.load(file)
    code = bytearray.fromhex(built["code"])
    with contextlib.ExitStack() as stack:
        maps: dict[str, bpf.Map] = {}
        for start, (pin, name, info) in built["maps"].items():
            if name not in maps:
                maps[name] = stack.enter_context(_map(pin, name, info, directories))
            struct.pack_into("=i", code, int(start) + 4, maps[name].fd)
        program = bpf.Program.load(schema.FUNCTION, _XDP if hook == "xdp" else _CLASSIFIER, bytes(code))
    return BPF.Function(None, schema.FUNCTION.encode(), program.fd)


def _map(pin: tuple[str, str] | None, name: str, info, directories: dict[str, str]) -> bpf.Map:
    if not pin:
        return bpf.Map.create(name, bpf.MapInfo(*info))
    place, path = pin
    return bpf.Map.open(os.path.join(directories[place], path))
