# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's maps say of the lists as a whole: how much of what they hold, and who the owners are."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from ..errors import PingKillerError
from ..kernel import bpf, schema

#: Words that every schema has at the same place.
_SCHEMA_VERSION, _DIRTY, _LISTENING = (
    schema.CONTROL.offsets[name] // 4 for name in ("schema_version", "dirty", "listening")
)


class Control:
    """The control map: whether a change was interrupted, and how many entries of which kind there are."""

    def __init__(self, control: bpf.Map) -> None:
        self._memory = control.memory()
        self._words = memoryview(self._memory).cast("I")
        self._layout = schema.layouts(self.schema_version)["control"]

    def close(self) -> None:
        self._words.release()
        self._memory.close()

    @property
    def schema_version(self) -> int:
        """A map that was made a moment ago has none yet, and is of this one."""
        return self._words[_SCHEMA_VERSION] or schema.SCHEMA_VERSION

    def stamp(self) -> None:
        self._words[_SCHEMA_VERSION] = schema.SCHEMA_VERSION

    def is_dirty(self, list_name: str) -> bool:
        """Whether a change of this list is under way, or was interrupted."""
        return bool(self._words[_DIRTY] >> schema.LISTS.index(list_name) & 1)

    @contextlib.contextmanager
    def changing(self, list_name: str) -> Iterator[None]:
        """The list is dirty meanwhile, and stays it if this does not end well. The filter forgets what it remembered."""
        bit = 1 << schema.LISTS.index(list_name)
        self._words[_DIRTY] |= bit
        yield
        start = self._layout.offsets.get("generation")
        if start is not None:
            with memoryview(self._memory)[start : start + 8] as part, part.cast("Q") as generation:
                generation[0] += 1
        self._words[_DIRTY] &= ~bit

    @property
    def listening(self) -> bool:
        return bool(self._words[_LISTENING])

    @listening.setter
    def listening(self, value: bool) -> None:
        self._words[_LISTENING] = int(value)

    def _row(self, list_name: str, kind: str) -> int:
        return self._layout.offsets[f"{list_name}.{kind}.entries"] // 4

    def count(self, list_name: str, *kinds: str) -> int:
        """Entries of these kinds, none given: of all."""
        return sum(self._words[self._row(list_name, kind)] for kind in kinds or schema.KINDS)

    def add(self, list_name: str, kind: str, untils: tuple[int, int], by: int) -> None:
        """Count so many entries in, or out if it is less than nothing."""
        row = self._row(list_name, kind)
        self._words[row] += by
        self.add_matching(list_name, kind, untils, by)

    def add_matching(self, list_name: str, kind: str, untils: tuple[int, int], by: int) -> None:
        row = self._row(list_name, kind)
        for column in matching_columns(untils):
            self._words[row + column] += by

    def has_timed(self, list_name: str) -> bool:
        """Whether any entry has an expiry."""
        return any(self._words[self._row(list_name, kind) + _TIMED] for kind in schema.KINDS)

    def recount(self, list_name: str, counted: dict[str, Counter]) -> None:
        """Set what has been counted anew, by kind and column; each number at once, for the filter passes over a zero."""
        for kind in schema.KINDS:
            row = self._row(list_name, kind)
            for column in range(_TIMED + 1):
                self._words[row + column] = counted[kind][column]


ENTRIES, _TIMED = 0, 3  #: columns of a population: all entries, those with an expiry; between them the two sides


def matching_columns(untils: tuple[int, int]) -> list[int]:
    """The columns of a population, but for the first, in which such an entry is counted."""
    columns = [1 + side for side, until in enumerate(untils) if until]
    return columns + [_TIMED] if any(0 < until < schema.FOREVER for until in untils) else columns


class Owners:
    """Names of owners and the numbers that records carry."""

    def __init__(self, owners: bpf.Map) -> None:
        self._map = owners
        memory = owners.memory()
        size = schema.OWNER_SIZE
        names = [memory[start : start + size].rstrip(b"\0").decode() for start in range(0, len(memory), size)]
        memory.close()
        self.names = names[: schema.MAX_OWNERS]
        self.numbers = {name: number for number, name in enumerate(self.names) if name}

    def check(self, owners: set[str]) -> None:
        """Raises PingKillerError if there are no numbers left for those that are new."""
        new = sorted(owners - set(self.numbers))
        most = schema.MAX_OWNERS - 1
        if len(self.numbers) + len(new) > most:
            raise PingKillerError(
                f"owner={new[0]!r} would be one more than the {most} owners that a host can have: use one of those that exist"
            )

    def number(self, name: str) -> int:
        """The owner's number, given out if it has none; ``check`` comes first."""
        if name not in self.numbers:
            free = self.names.index("", 1)
            self._map.update(schema.SLOT.pack(free), name.encode().ljust(schema.OWNER_SIZE, b"\0"))
            self.names[free] = name
            self.numbers[name] = free
        return self.numbers[name]
