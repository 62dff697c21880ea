# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write the control map: the schema, who listens, and how many entries of which kind the lists have."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping

from ..kernel import bpf, schema

#: Fields of 32 bits that are in the same place in every schema, as positions in ``Control``'s view.
_SCHEMA_VERSION, _DIRTY, _LISTENING = (
    schema.CONTROL.offsets[field] // 4 for field in ("schema_version", "dirty", "listening")
)


class Control:
    """The control map, in memory that is shared with the kernel. Close it after use."""

    def __init__(self, control: bpf.Map) -> None:
        self._memory = control.memory()
        self._as_u32 = memoryview(self._memory).cast("I")
        self._as_u64 = memoryview(self._memory).cast("Q")
        self._offsets = schema.layouts(self.schema_version)["control"].offsets

    def close(self) -> None:
        self._as_u32.release()
        self._as_u64.release()
        self._memory.close()

    @property
    def schema_version(self) -> int:
        """The schema of the host's maps. A new map has no number yet and gets the schema of this version."""
        return self._as_u32[_SCHEMA_VERSION] or schema.SCHEMA_VERSION

    def stamp(self) -> None:
        """Write the schema of this version into the map."""
        self._as_u32[_SCHEMA_VERSION] = schema.SCHEMA_VERSION

    @property
    def listening(self) -> bool:
        """Whether filters should report events, because somebody reads them."""
        return bool(self._as_u32[_LISTENING])

    @listening.setter
    def listening(self, value: bool) -> None:
        self._as_u32[_LISTENING] = int(value)

    # Changes of lists

    def is_dirty(self, list_name: str) -> bool:
        """Return whether a change of this list is in progress, or was interrupted."""
        return bool(self._as_u32[_DIRTY] >> schema.LISTS.index(list_name) & 1)

    def mark_dirty(self, list_name: str) -> None:
        """Note that a change of this list has begun."""
        self._as_u32[_DIRTY] |= 1 << schema.LISTS.index(list_name)

    @contextlib.contextmanager
    def changing(self, list_name: str) -> Iterator[None]:
        """Mark a list as dirty during a change. It stays dirty if the change fails.

        The end of the change makes the filters forget the answers that they remembered.
        """
        self.mark_dirty(list_name)
        yield
        if "generation" in self._offsets:  # since schema 2
            self._as_u64[self._offsets["generation"] // 8] += 1
        self._as_u32[_DIRTY] &= ~(1 << schema.LISTS.index(list_name))

    # How many entries there are

    def _position(self, list_name: str, kind: str, column: str) -> int:
        return self._offsets[f"{list_name}.{kind}.{column}"] // 4

    def count(self, list_name: str, *kinds: str) -> int:
        """Return the number of entries of these kinds, by default of all kinds. Includes expired entries."""
        return sum(self._as_u32[self._position(list_name, kind, "entries")] for kind in kinds or schema.KINDS)

    def has_timed(self, list_name: str) -> bool:
        """Return whether any entry of a list expires."""
        return any(self._as_u32[self._position(list_name, kind, "timed")] for kind in schema.KINDS)

    def add(self, list_name: str, kind: str, *, untils: tuple[int, int], number: int) -> None:
        """Count ``number`` more entries of one kind that have these ends; fewer if it is negative."""
        self._as_u32[self._position(list_name, kind, "entries")] += number
        self.add_matching(list_name, kind, untils=untils, number=number)

    def add_matching(self, list_name: str, kind: str, *, untils: tuple[int, int], number: int) -> None:
        """Count as ``add`` does, but only where entries match and whether they expire."""
        for column in matching_columns(untils):
            self._as_u32[self._position(list_name, kind, column)] += number

    def recount(self, list_name: str, counted: Mapping[str, Counter[str]]) -> None:
        """Replace the counts of a list by new ones, given by kind and column.

        Each number is written once: the filter looks up nothing where it finds a zero.
        """
        for kind in schema.KINDS:
            for column in schema.POPULATION:
                self._as_u32[self._position(list_name, kind, column)] = counted[kind][column]


def matching_columns(untils: tuple[int, int]) -> list[str]:
    """Return the columns of ``schema.POPULATION``, apart from ``entries``, that count an entry with these ends."""
    columns = [side for side, until in zip(("src", "dst"), untils) if until]
    return [*columns, "timed"] if any(0 < until < schema.FOREVER for until in untils) else columns
