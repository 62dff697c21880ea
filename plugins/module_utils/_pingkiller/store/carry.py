# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add what the maps that were replaced have counted to those in use, once, while packets go on being counted.

User space cannot add to a number on which other CPUs count, so a small program does, run by BPF_PROG_TEST_RUN on no
packet. In the same run it marks what it has added, so a kill comes before both or after both. It is assembled here rather
than compiled, because whichever run comes next has to end what was begun, also one that has neither sources nor BCC.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from ..kernel import bpf, schema
from ..kernel.layout import Layout

#: Operations, as linux/bpf.h puts them together.
_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD, _LOAD_MAP = 0x71, 0x61, 0x79, 0x18
_STORE_BYTE, _STORE_HALF, _ADD_TO_WORD = 0x72, 0x63, 0xDB
_SET, _COPY, _ADD = 0xB7, 0xBF, 0x07
_IF_EQUAL, _IF_GREATER, _CALL, _EXIT = 0x15, 0x2D, 0x85, 0x95

_R0, _R1, _R2, _DATA, _MARK, _STACK = 0, 1, 2, 6, 7, 10  #: registers
_MAP_FD = 1  #: what a loaded number is
_LOOKUP = 1  #: helper
_XDP = 6  #: type of program
_XDP_PASS = 2

_KEYS = struct.Struct("=II")  #: of the mark and of the target; what is to be added follows


class Mark(NamedTuple):
    """The byte at ``offset`` in an element of a map is ``done`` once what the element stands for has been added."""

    map: bpf.Map
    offset: int
    done: int


class Carrier:
    """Adds to 64-bit numbers at these offsets in the elements of a map, in one of a per-CPU map to this CPU's."""

    def __init__(self, mark: Mark, target: bpf.Map, offsets: Sequence[int]) -> None:
        self._layout = struct.Struct(f"={len(offsets)}Q")
        self._program = bpf.Program.load("carry", _XDP, _assemble(mark, target, offsets))

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_exception) -> None:
        self._program.close()

    def add(self, mark_key: int, target_key: int, numbers: Sequence[int]) -> None:
        """Nothing happens if this has been added before."""
        self._program.test_run(_KEYS.pack(mark_key, target_key) + self._layout.pack(*numbers))


def carry_list(old, new) -> None:
    """Add what the entries of a list have counted that no filter reads any more; each is freed there then."""
    busy = old.records.busy()
    first = next(busy, None)
    if not first:
        return
    # Freeing is the mark.
    mark, offsets = Mark(old.table, old.records.offset("used"), 0), map(new.records.offset, schema.COUNTED["records"])
    with Carrier(mark, new.table, tuple(offsets)) as carrier:
        for old_slot, _packets in chain((first,), busy):
            *counted, last_seen = old.records.counts(old_slot)
            slot = new.slot_of(old.records.key(old_slot))
            if slot is not None:
                new.records.see(slot, last_seen)
                carrier.add(old_slot, slot, counted)


def carry_filter_map(number: int, old: bpf.Map, before: Layout, new: bpf.Map, name: str, carried: bpf.Map) -> None:
    """Add what a filter's map has counted that no filter counts in any more; ``number`` is its own in ``carried``."""
    per_cpu = [before.unpack(value) for value in old.lookup_percpu(schema.ZERO)]
    after = schema.LAYOUTS[name].offsets
    shared = [field for field in schema.COUNTED[name] if field in before.offsets]
    with Carrier(Mark(carried, 0, 1), new, [after[field] for field in shared]) as carrier:
        carrier.add(number, 0, [sum(values[field] for values in per_cpu) for field in shared])


def _assemble(mark: Mark, target: bpf.Map, offsets: Sequence[int]) -> bytes:
    body = [
        _code(_LOAD_HALF, _DATA, _R1, 0),
        _code(_LOAD_HALF, _R2, _R1, 4),
        _code(_COPY, _R1, _DATA),
        _code(_ADD, _R1, number=_KEYS.size + 8 * len(offsets)),
        _leave(_IF_GREATER, _R1, _R2),
        *_find(mark.map, 0),
        _code(_COPY, _MARK, _R0),
        _code(_LOAD_BYTE, _R1, _MARK, mark.offset),
        _leave(_IF_EQUAL, _R1, number=mark.done),
        *_find(target, 4),
    ]
    for number, offset in enumerate(offsets):
        body += [_code(_LOAD_WORD, _R1, _DATA, _KEYS.size + 8 * number), _code(_ADD_TO_WORD, _R0, _R1, offset)]
    body.append(_code(_STORE_BYTE, _MARK, 0, mark.offset, mark.done))
    return _joined(body) + _code(_SET, _R0, number=_XDP_PASS) + _code(_EXIT)


def _find(map_: bpf.Map, key: int) -> list[bytes]:
    """The address of the element whose key is at this place of the data, in R0."""
    return [
        _code(_LOAD_HALF, _R1, _DATA, key),
        _code(_STORE_HALF, _STACK, _R1, -4),
        _code(_LOAD_MAP, _R1, _MAP_FD, number=map_.fd),
        _code(0),
        _code(_COPY, _R2, _STACK),
        _code(_ADD, _R2, number=-4),
        _code(_CALL, number=_LOOKUP),
        _leave(_IF_EQUAL, _R0),
    ]


def _code(operation: int, to: int = 0, of: int = 0, offset: int = 0, number: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, to | of << 4, offset, number)


def _leave(operation: int, to: int, of: int = 0, number: int = 0) -> bytes:
    """A jump to the end; ``_joined`` knows how far that is."""
    return _code(operation, to, of, -1, number)


def _joined(body: list[bytes]) -> bytes:
    jumps = (_IF_EQUAL, _IF_GREATER)
    return b"".join(
        each[:2] + struct.pack("=h", len(body) - position - 1) + each[4:] if each[0] in jumps else each
        for position, each in enumerate(body)
    )
