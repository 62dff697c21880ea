# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One row of the decision table: a packet, the options and lists, and the expected result."""

from __future__ import annotations

from typing import NamedTuple

from model import EVERY_TYPE, SECOND, Entry, Options, Source

DROP_ALL = Options(policy="drop", icmp_types=EVERY_TYPE)


class Known(NamedTuple):
    """The state of a source in the rate limit when the packet arrives."""

    packets: int  # in the current one-second window
    age: float = 0.0  # seconds since the window began
    blocked: float = 0.0  # seconds that the source stays blocked

    def at(self, now: int) -> Source:
        until = now + int(self.blocked * SECOND) if self.blocked else 0
        return Source(now - int(self.age * SECOND), self.packets, until)


class Row(NamedTuple):
    """One packet and its expected result. `expect` is "verdict reason family". `by` is the entry that counts it.

    The verdict is pass or drop. In monitor mode it is would_drop instead of drop.
    """

    name: str
    packet: object  # a scapy packet, or bytes
    expect: str
    options: Options = DROP_ALL
    blocklist: tuple[Entry, ...] = ()
    allowlist: tuple[Entry, ...] = ()
    by: str | None = None
    sources: tuple[tuple[str, Known], ...] = ()  # by address; for IPv6 the first address of the prefix

    @property
    def frame(self) -> bytes:
        return bytes(self.packet)


def assert_each(rows, holds):
    """Call ``holds`` with each row. A failure shows the names of all rows that raised, and the first errors."""
    wrong = {}
    for row in rows:
        try:
            holds(row)
        except Exception as error:  # also if the kernel refuses the frame
            wrong[row.name] = error
    if wrong:
        said = [f"{name}: {error!r}" if not str(error) else f"{name}: {error}" for name, error in wrong.items()]
        raise AssertionError("\n".join([f"{len(wrong)} of {len(rows)} rows:", *wrong, "", *said[:3]]))
