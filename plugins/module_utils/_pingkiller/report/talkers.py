# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the busiest sources in the events that filters report."""

from __future__ import annotations

import contextlib
import heapq
import socket
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import PingKillerError
from ..kernel import schema
from . import listening

_MOST = 20_000  #: sources to remember: a flood may come from more addresses than there is memory for
_SOURCE, _FAMILY, _PROTOCOL, _REASON, _MONITORED = (
    schema.EVENT.offsets[field] for field in ("source", "family", "protocol", "reason", "monitored")
)
_ICMP = (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6)
_LENGTHS = {schema.FAMILIES.index("ipv4"): 4, schema.FAMILIES.index("ipv6"): 16}


class Talker(NamedTuple):
    """A source of ICMP."""

    address: bytes
    per_second: float
    dropped_per_second: float
    packets: int  #: since the first event


class Talkers:
    """Counts events by source. Pure: ``add`` takes events as ``schema.EVENT`` packs them."""

    def __init__(self) -> None:
        self._new: Counter[bytes] = Counter()
        self._dropped: Counter[bytes] = Counter()
        self._total: Counter[bytes] = Counter()

    def add(self, records: Iterable[bytes]) -> None:
        for record in records:
            length = _LENGTHS.get(record[_FAMILY])
            if length and record[_PROTOCOL] in _ICMP:  # without a length, VLAN tags hide the address
                address = record[_SOURCE : _SOURCE + length]
                self._new[address] += 1
                self._dropped[address] += record[_REASON] >= schema.FIRST_DROP and not record[_MONITORED]

    def take(self, seconds: float, number: int, *, by_total: bool) -> list[Talker]:
        """Return the busiest sources of the last ``seconds``, or ever, and begin the next interval."""
        new, dropped = self._new, self._dropped
        self._new, self._dropped = Counter(), Counter()
        self._total.update(new)
        if len(self._total) > _MOST:
            self._total = Counter(dict(self._total.most_common(_MOST // 2)))
        found = [
            Talker(each, new[each] / seconds, dropped[each] / seconds, total) for each, total in self._total.items()
        ]
        if by_total:
            return heapq.nlargest(number, found, key=lambda each: (each.packets, each.per_second))
        return heapq.nlargest(number, found, key=lambda each: (each.per_second, each.packets))


class Ear:
    """Listens while any filter can report something. Close it after use."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._stack = contextlib.ExitStack()
        self._listener: listening.Listener | None = None
        self.talkers = Talkers()

    def close(self) -> None:
        self._stack.close()

    @property
    def listens(self) -> bool:
        return self._listener is not None

    def listen(self) -> None:
        """Begin to listen, unless it does so already or no filter can report anything."""
        if self._listener is None:
            with contextlib.suppress(PingKillerError):
                self._listener = self._stack.enter_context(listening.opened(self._base))

    def read(self) -> None:
        """Take the events that have come. Call this every ``listening.PAUSE`` seconds."""
        if self._listener:
            self.talkers.add(self._listener.read())

    def missed(self) -> listening.Missed:
        """Return how many events were not seen since it began to listen."""
        return self._listener.missed() if self._listener else listening.Missed(0, 0)
