# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add what replaced maps have counted to the maps in use, once, while filters go on counting.

User space cannot add to a number that other CPUs count in. So a small program adds: BPF_PROG_TEST_RUN runs it on no
packet. In the same run it marks what it has added, so a kill comes before both or after both. It is assembled here and
not compiled, because any later run has to end what was begun, also a run that has neither sources nor BCC.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from ..kernel import bpf, schema
from ..kernel.layout import Layout
from .list_maps import ListMaps

#: Operations, as linux/bpf.h puts them together.
_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD, _LOAD_MAP = 0x71, 0x61, 0x79, 0x18
_STORE_BYTE, _STORE_HALF, _ADD_TO_WORD = 0x72, 0x63, 0xDB
_SET, _COPY, _ADD = 0xB7, 0xBF, 0x07
_IF_EQUAL, _IF_GREATER, _CALL, _EXIT = 0x15, 0x2D, 0x85, 0x95

_R0, _R1, _R2, _DATA, _MARK, _STACK = 0, 1, 2, 6, 7, 10  #: registers
_MAP_FD = 1  #: BPF_PSEUDO_MAP_FD: the loaded number is a map's file descriptor
_LOOKUP = 1  #: the helper bpf_map_lookup_elem
_XDP = 6  #: the program's type
_XDP_PASS = 2

_KEYS = struct.Struct("=II")  #: keys of the mark and of the target; the numbers to add follow them


class Mark(NamedTuple):
    """The byte at ``offset`` in an element of a map. It is ``done`` once the numbers for this element have been added."""

    map: bpf.Map
    offset: int
    done: int


class Carrier:
    """Adds to 64-bit numbers at some offsets in an element of a map; in a per-CPU map, to the numbers of one CPU."""

    def __init__(self, mark: Mark, target: bpf.Map, offsets: Sequence[int]) -> None:
        self._layout = struct.Struct(f"={len(offsets)}Q")
        self._program = bpf.Program.load("carry", _XDP, _assemble(mark, target, offsets))

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._program.close()

    def add(self, mark_key: int, target_key: int, numbers: Sequence[int]) -> None:
        """Add a number at each offset, unless the mark says that this has been done."""
        self._program.test_run(_KEYS.pack(mark_key, target_key) + self._layout.pack(*numbers))


def carry_list(old: ListMaps, new: ListMaps) -> None:
    """Add what the entries of a list have counted. No filter may read the old list any more, as its entries are freed."""
    busy = old.records.busy()
    first = next(busy, None)
    if not first:
        return
    freeing = Mark(old.table, old.records.offset("used"), done=0)
    offsets = [new.records.offset(field) for field in schema.COUNTED["records"]]
    with Carrier(freeing, new.table, offsets) as carrier:
        for old_slot, _packets in chain((first,), busy):
            counts, key = old.records.counts(old_slot), old.records.key(old_slot)
            slot = new.slot_of(key) if key else None
            if slot is not None:
                new.records.see(slot, counts.last_seen)
                carrier.add(old_slot, slot, [getattr(counts, field) for field in schema.COUNTED["records"]])


def carry_filter_map(name: str, old: bpf.Map, new: bpf.Map, *, layout: Layout, carried: bpf.Map) -> None:
    """Add what a map of a filter has counted. No program may count in the old map any more.

    ``layout`` is the old map's. ``carried`` has an element for each name of ``schema.COUNTED``, which is the mark.
    """
    values = [layout.unpack(value) for value in old.lookup_percpu(schema.ZERO)]
    offsets = schema.LAYOUTS[name].offsets
    fields = [field for field in schema.COUNTED[name] if field in layout.offsets]
    with Carrier(Mark(carried, 0, done=1), new, [offsets[field] for field in fields]) as carrier:
        number = list(schema.COUNTED).index(name)
        carrier.add(number, 0, [sum(value[field] for value in values) for field in fields])


def _assemble(mark: Mark, target: bpf.Map, offsets: Sequence[int]) -> bytes:
    """Return the program: end if the data is too short or the mark is done, else add the numbers and set the mark."""
    body = [
        _code(_LOAD_HALF, to=_DATA, of=_R1, offset=0),
        _code(_LOAD_HALF, to=_R2, of=_R1, offset=4),
        _code(_COPY, to=_R1, of=_DATA),
        _code(_ADD, to=_R1, number=_KEYS.size + 8 * len(offsets)),
        _leave(_IF_GREATER, _R1, of=_R2),
        *_find(mark.map, 0),
        _code(_COPY, to=_MARK, of=_R0),
        _code(_LOAD_BYTE, to=_R1, of=_MARK, offset=mark.offset),
        _leave(_IF_EQUAL, _R1, number=mark.done),
        *_find(target, 4),
    ]
    for position, offset in enumerate(offsets):
        body.append(_code(_LOAD_WORD, to=_R1, of=_DATA, offset=_KEYS.size + 8 * position))
        body.append(_code(_ADD_TO_WORD, to=_R0, of=_R1, offset=offset))
    body.append(_code(_STORE_BYTE, to=_MARK, offset=mark.offset, number=mark.done))
    return _joined(body) + _code(_SET, to=_R0, number=_XDP_PASS) + _code(_EXIT)


def _find(map_: bpf.Map, key: int) -> list[bytes]:
    """Return the code that leaves in R0 the address of an element. ``key`` is where the data has the element's key."""
    return [
        _code(_LOAD_HALF, to=_R1, of=_DATA, offset=key),
        _code(_STORE_HALF, to=_STACK, of=_R1, offset=-4),
        _code(_LOAD_MAP, to=_R1, of=_MAP_FD, number=map_.fd),
        _code(0),  # the second half of the load, which takes 64 bits
        _code(_COPY, to=_R2, of=_STACK),
        _code(_ADD, to=_R2, number=-4),
        _code(_CALL, number=_LOOKUP),
        _leave(_IF_EQUAL, _R0),
    ]


def _code(operation: int, *, to: int = 0, of: int = 0, offset: int = 0, number: int = 0) -> bytes:
    """Return one instruction, see ``struct bpf_insn`` in linux/bpf.h: ``to`` and ``of`` are registers."""
    return struct.pack("=BBhi", operation, to | of << 4, offset, number)


def _leave(operation: int, to: int, *, of: int = 0, number: int = 0) -> bytes:
    """Return a conditional jump to the end. ``_joined`` fills in the distance."""
    return _code(operation, to=to, of=of, number=number)


def _joined(body: list[bytes]) -> bytes:
    """Join instructions, all of whose jumps go to the end."""
    jumps = (_IF_EQUAL, _IF_GREATER)
    return b"".join(
        code[:2] + struct.pack("=h", len(body) - position - 1) + code[4:] if code[0] in jumps else code
        for position, code in enumerate(body)
    )
