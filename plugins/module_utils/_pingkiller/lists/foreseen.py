# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prediction goes by where tasks that come before it in the same run have only been predicted, too.

In check mode the host is still as it was before the first of them, and what it then has would make another prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..entries import addresses
from ..entries.claims import Claims, Held, Plan, effective
from ..errors import PingKillerError, quoted
from ..kernel import schema
from ..store import hooks, limits


class Foreseen(NamedTuple):
    """What these tasks have told."""

    filters: dict[str, dict] | None = None  #: those that will have been attached, by name, as ``xdp_filter`` tells them
    removed: tuple[str, ...] = ()  #: those that will have been taken off
    capacity: int | None = None  #: of the lists
    allowlist: object = None  #: a ``ListRequest``, for what comes onto the blocklist

    def checked(self) -> Foreseen:
        """The same, if tasks can have told it. Raises PingKillerError."""
        for name, each in (self.filters or {}).items():
            if not _is_filter(name, each):
                raise PingKillerError(
                    f"foreseen.filters has {quoted(str(name))}: {quoted(str(each))}, which is no filter and its options: give what "
                    f"xdp_filter returns as filters"
                )
        if self.capacity is not None and not 1 <= self.capacity <= limits.MAX_CAPACITY:
            raise PingKillerError(
                f"foreseen.max_entries={quoted(str(self.capacity))} is out of range: give 1 to {limits.MAX_CAPACITY}, as xdp_filter "
                f"returns it"
            )
        return self

    def monitoring(self) -> dict[str, bool]:
        """The filters that will have been attached, and whether each only monitors."""
        return {name: each["options"]["monitor"] for name, each in (self.filters or {}).items()}


def _is_filter(name: object, told: object) -> bool:
    options = told.get("options") if isinstance(told, dict) else None
    monitor = options.get("monitor") if isinstance(options, dict) else None
    return isinstance(name, str) and hooks.split_name(name)[1] in schema.HOOKS and isinstance(monitor, bool)


class ListToCome:
    """A list as it will be once a plan has been applied, for whoever looks for what covers what."""

    def __init__(self, name: str, before: Iterable[Held], plan: Plan) -> None:
        self.name = name
        self._claims: dict[bytes, Claims] = {key: each.claims for each in before for key in each.keys}
        for change in (*plan.added, *plan.updated):
            self._claims.update(dict.fromkeys(change.keys, change.after))
        for change in plan.removed:
            for key in change.keys:
                del self._claims[key]

    @property
    def empty(self) -> bool:
        return not self._claims

    def owners(self, key: bytes) -> list[str]:
        return sorted(self._claims[key])

    def around(self, key: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """As that of a list that is there."""
        address, longest = addresses.split(key)
        for length in range(longest, -1, -1):
            cover = addresses.network(address, length)
            if cover in self._claims:
                yield cover, effective(self._claims[cover])

    def covers(self) -> Iterator[tuple[bytes, tuple[int, int]]]:
        return ((key, effective(claims)) for key, claims in self._claims.items())
