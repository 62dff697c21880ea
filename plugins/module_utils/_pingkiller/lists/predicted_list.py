# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list as a planned change will leave it, for predictions in check mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..entries import addresses
from ..entries.claims import Claims, effective
from ..entries.plan import Held, Plan


class PredictedList:
    """A list after a plan. It answers like a ``store.entry_list.EntryList`` which entries cover which."""

    def __init__(self, name: str, before: Iterable[Held], plan: Plan) -> None:
        self.name = name
        self._claims: dict[bytes, Claims] = {key: held.claims for held in before for key in held.keys}
        for change in (*plan.added, *plan.updated):
            self._claims.update(dict.fromkeys(change.keys, change.after))
        for change in plan.removed:
            for key in change.keys:
                del self._claims[key]

    @property
    def empty(self) -> bool:
        return not self._claims

    def owners(self, key: bytes) -> list[str]:
        """Return the owners of the entry with this key, which is on the list."""
        return sorted(self._claims[key])

    def around(self, key: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """Yield the entries that cover a key, the narrowest first, each with its end on each side."""
        address, longest = addresses.split(key)
        for length in range(longest, -1, -1):
            cover = addresses.network(address, length)
            if cover in self._claims:
                yield cover, effective(self._claims[cover])

    def covers(self) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """Yield all entries, each with its end on each side."""
        return ((key, effective(claims)) for key, claims in self._claims.items())
