# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a fleet on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import clipped, wrapped
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _status_address, _status_table, _status_words
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import HostStatus, busiest

_LOWEST = 24  #: lines of a terminal; in fewer there would be no room for hosts beside the sources
_SOURCES = 10
_NAMES, _FEW_NAMES = 20, 4  #: hosts that are named for each reason why an address is dropped or passes
_INDENT = "    "


class Screen:
    """Writes what hosts answered, worst first, for a terminal of so many columns and lines."""

    def __init__(self, statuses: Sequence[HostStatus], columns: int, height: int) -> None:
        self._statuses = statuses
        self._columns = columns
        self._height = max(height, _LOWEST) - 1  # the prompt takes one
        self._seconds = _status_table.measured(statuses)

    def lines(self, rows: int | None = None, address: str = "") -> list[str]:
        """Write the table, what is wrong with its hosts, the busiest sources or what becomes of ``address``, and a sentence.

        Shows the first ``rows`` hosts, all of them if it is 0, or by default as many as a screen has room for.
        """
        end = self._end(address, _FEW_NAMES if rows is None else _NAMES)
        shown = len(self._statuses) if rows is None else rows or len(self._statuses)
        found = [*self._table(shown), *_section(self._words(shown))]
        if rows is None and len(found) + len(end) > self._height:
            found = self._fitted(self._height - len(end))
        return [*found, *end]

    def _end(self, address: str, names: int) -> list[str]:
        """Write what comes below the hosts."""
        if address:
            found = _status_address.lines(self._statuses, address, self._columns, names=names)
        else:
            found = _status_table.sources(busiest(self._statuses, _SOURCES), self._seconds, self._columns)
        return [*_section(found), *_section(wrapped(_status_words.sum_up(self._statuses), self._columns, _INDENT))]

    def _fitted(self, room: int) -> list[str]:
        """Write the worst hosts, and a line about each of which there is something to say, in so many lines or few more."""
        told = list(self._first_words(room))
        least = _section(told[: max(1, (room - 3) // 3)])
        table = self._table(max(2, room - 2 - len(least)))  # beside the headings and what is said of the hosts left out
        return [*table, *_section(told[: max(1, room - 1 - len(table))])]

    def _table(self, shown: int) -> list[str]:
        statuses, left_out = self._statuses[:shown], self._statuses[shown:]
        more = [clipped(_status_words.more(left_out), self._columns)] if left_out else []
        return [*_status_table.hosts(statuses, self._seconds, self._columns), *more]

    def _words(self, shown: int) -> list[str]:
        return [
            line
            for each, row in zip(self._statuses[:shown], self._table(shown)[1:])
            for sentence in _status_words.about(each) or [each.message] * (not row.endswith(each.message))
            for line in wrapped(f"{each.host}: {sentence}", self._columns, _INDENT)
        ]

    def _first_words(self, shown: int) -> Iterator[str]:
        """Yield one line a host: the first sentence, and how many follow."""
        for each in self._statuses[:shown]:
            sentences = _status_words.about(each)
            if sentences:
                others = f" (and {len(sentences) - 1} more)" if sentences[1:] else ""
                yield clipped(f"{each.host}: {sentences[0]}", self._columns - len(others)) + others


def _section(found: Sequence[str]) -> list[str]:
    return ["", *found] if found else []
