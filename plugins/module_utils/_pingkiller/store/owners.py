# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owners of a host: their names, and the numbers that records carry instead."""

from __future__ import annotations

from ..errors import PingKillerError
from ..kernel import bpf, schema

#: The number that a record has in place of its owner's if it has several owners.
SEVERAL = 0


class Owners:
    """The owners map, read once. ``numbers`` has the number of each owner by name."""

    def __init__(self, owners: bpf.Map) -> None:
        self._map = owners
        size = schema.OWNER_SIZE
        with owners.memory() as memory:
            found = (memory[start : start + size] for start in range(0, size * schema.MAX_OWNERS, size))
            self._names = [name.rstrip(b"\0").decode() for name in found]
        self.numbers = {name: number for number, name in enumerate(self._names) if name}

    def name(self, number: int) -> str:
        """Return the name of an owner that has a number."""
        return self._names[number]

    def check(self, owners: set[str]) -> None:
        """Raise PingKillerError if there are not enough numbers left for the owners that have none yet."""
        new = sorted(owners - set(self.numbers))
        most = schema.MAX_OWNERS - 1
        if len(self.numbers) + len(new) > most:
            raise PingKillerError(
                f"owner={new[0]!r} would be one more than the {most} owners that a host can have: use one of those that exist"
            )

    def number(self, name: str) -> int:
        """Return the number of an owner. A new owner gets a free one, so call ``check`` first."""
        if name not in self.numbers:
            free = self._names.index("", SEVERAL + 1)
            self._map.update(schema.SLOT.pack(free), name.encode().ljust(schema.OWNER_SIZE, b"\0"))
            self._names[free] = name
            self.numbers[name] = free
        return self.numbers[name]
