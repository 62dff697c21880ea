# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a front end asks of a list, as records."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..entries.list_lines import Reading
from ..entries.requested import RequestedEntries
from ..errors import PingKillerError, quoted
from ..kept.directory import Store
from ..kernel import schema
from ..store import hooks, limits


class Foreseen(NamedTuple):
    """What earlier tasks of the same run have predicted.

    In check mode the host is still as it was before the first of them.
    """

    #: Filters that will have been attached, as ``xdp_filter`` returns them.
    filters: dict[str, dict[str, Any]] | None = None
    removed: tuple[str, ...] = ()  #: names of filters that will have been removed
    capacity: int | None = None  #: of the lists, in entries
    allowlist: ListRequest | None = None  #: what will be on the allowlist, for a prediction of the blocklist

    def checked(self) -> Foreseen:
        """Return this if tasks can have predicted it. Raises PingKillerError."""
        for name, told in (self.filters or {}).items():
            if not _is_filter(name, told):
                raise PingKillerError(
                    f"foreseen.filters has {quoted(str(name))}: {quoted(str(told))}, which is not a filter with its options: give what "
                    f"xdp_filter returns as filters"
                )
        if self.capacity is not None and not 1 <= self.capacity <= limits.MAX_CAPACITY:
            raise PingKillerError(
                f"foreseen.max_entries={quoted(str(self.capacity))} is out of range: give 1 to {limits.MAX_CAPACITY}, as xdp_filter "
                f"returns it"
            )
        return self

    def monitoring(self) -> dict[str, bool]:
        """Return the names of the filters that will have been attached, with whether each only monitors."""
        return {name: told["options"]["monitor"] for name, told in (self.filters or {}).items()}


def _is_filter(name: object, told: object) -> bool:
    options = told.get("options") if isinstance(told, dict) else None
    monitor = options.get("monitor") if isinstance(options, dict) else None
    return isinstance(name, str) and hooks.split_name(name)[1] in schema.HOOKS and isinstance(monitor, bool)


class ListRequest(NamedTuple):
    """What is asked of a list. One of ``ip``, ``src``, ``content``, ``entries`` and ``everything`` is set."""

    name: str
    ip: list[str] | None = None
    src: str | None = None
    content: str | None = None  #: the text of a list file; with ``src``, the text that will be there
    entries: RequestedEntries | None = None  #: entries that were read before
    everything: bool = False  #: with ``absent``: all entries of the owner
    absent: bool = False
    exclusive: bool = False
    owner: str = "adhoc"
    direction: str | None = None  #: None: src, or with ``absent`` both
    ttl: str | None = None
    from_owner: str | None = None
    any_owner: bool = False
    reading: Reading = Reading()
    comment: str | None = None  #: of entries that have none of their own; None: see ``keeps_comments``
    persist: bool | None = None  #: None: if the host restores its filters
    store: Store | None = None  #: None: leave alone what is restored at boot
    foreseen: Foreseen = Foreseen()  #: for a prediction

    @property
    def keeps_comments(self) -> bool:
        """Whether entries without a comment keep the one that they have on the list.

        A list file that is synced exactly says all comments. The addresses of a task have none of their own.
        """
        return self.comment is None and (not self.exclusive or self.ip is not None)
