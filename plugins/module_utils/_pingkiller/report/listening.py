# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen to what the filters of a host report, beside other listeners and while the maps are replaced.

Filters report only while the control map says that somebody listens. Every listener says so whenever it reads, and the last
one to stop says that nobody does. Listeners that were killed leave it as it is: then the buffer fills up, and what filters
report is counted as lost until somebody listens again, and stops.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import PingKillerError
from ..kernel import access, ring_buffer, schema
from ..kernel.ring_buffer import RingBuffer
from ..store import host_maps
from ..store.control import Control
from ..store.lock import listener_lock
from ..store.pins import Pins
from . import filter_facts

PAUSE = 0.05  #: seconds between two reads: the buffer holds 11,000 events

_ROOM = ring_buffer.room(schema.EVENT.size)

#: Tells whether a pin is still the one that was opened: its device and inode.
_Identity = tuple[int, int]


class Missed(NamedTuple):
    """How many events a listener did not get since it began."""

    suppressed: int  #: above the number that a CPU may report in a second
    lost: int  #: found the buffer full, or were overwritten before this listener read them


@contextlib.contextmanager
def opened(base: str) -> Iterator[Listener]:
    """Listen to the filters whose maps are below ``base``. Raises PingKillerError if none of them can report anything."""
    access.require_bpf()
    pins = Pins(base)
    pins.check_mount()
    with listener_lock(lambda: _end(pins)):
        maps = _open(pins)
        if maps is None:
            raise PingKillerError(
                "no filter on this host reports events: set events of xdp_filter to dropped, all_icmp or trace"
            )
        with contextlib.closing(Listener(pins, maps)) as listener:
            yield listener


class Listener:
    """Takes the events that the filters of a host report, from now on.

    Call ``read`` every ``PAUSE`` seconds. Another listener that does so may let this one miss what it does not read in time.
    """

    def __init__(self, pins: Pins, maps: _Maps) -> None:
        self._pins = pins
        self._maps = maps
        self._overtaken = 0
        self._before = self._now = _not_sent(pins)
        self._maps.control.listening = True

    def close(self) -> None:
        self._maps.close()

    def read(self) -> list[bytes]:
        """Return the events since the last call as ``schema.EVENT`` packs them, oldest first. Waits for none.

        Goes on with the maps that have replaced the ones it read from. Where there are none any more, it waits for others.
        """
        self._maps.control.listening = True
        records = self._maps.ring.read()
        self._follow()
        return sorted(records, key=time_of)  # CPUs write their records in any order

    def missed(self) -> Missed:
        """Return how many events this listener did not get. Looks at every filter: call it once a second, say."""
        self._now = {**self._now, **_not_sent(self._pins)}  # the counts of a filter that has gone stay
        sums: Counter[str] = Counter()
        for number, counts in self._now.items():
            sums.update(counts)
            sums.subtract(self._before.get(number, {}))
        overwritten = self._overtaken + self._maps.ring.overwritten // _ROOM
        return Missed(suppressed=sums["suppressed"], lost=sums["lost"] + overwritten)

    def _follow(self) -> None:
        """Open the maps again if others are pinned in their place."""
        if self._maps.places == _places(self._pins):
            return
        maps = _open(self._pins, self._maps)
        if maps:
            self._overtaken += self._maps.ring.overwritten // _ROOM
            self._maps.close()
            self._maps = maps


class _Maps(NamedTuple):
    """What a listener has opened."""

    ring: RingBuffer
    ring_id: int
    control: Control
    places: list[_Identity]  #: where they were

    def close(self) -> None:
        self.ring.close()
        self.control.close()


def _open(pins: Pins, before: _Maps | None = None) -> _Maps | None:
    """Open the maps of a host, or return None if there are none. Goes on in the same buffer where it has another pin."""
    pins = pins.in_use()
    places = _places(pins)
    ring_map = pins.open_map(pins.host_pin("events"), schema.EVENTS_MAP)
    if ring_map is None:
        return None
    with ring_map, host_maps.opened(pins) as host:
        if host is None:  # an interrupted removal has left the events only
            return None
        if before and before.ring_id == ring_map.map_id:
            ring = RingBuffer(ring_map, before.ring.position)
        else:
            ring = RingBuffer(ring_map)
            ring.skip()  # what listeners left that were killed has no room for more
        return _Maps(ring, ring_map.map_id, Control(host.control), places)


def _places(pins: Pins) -> list[_Identity]:
    """Return the identities of the pins that a listener uses; fewer if some are missing."""
    pins, found = pins.in_use(), []
    for name in ("events", "control"):
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(pins.host_pin(name))
            found.append((status.st_dev, status.st_ino))
    return found


def _end(pins: Pins) -> None:
    """Tell the filters that nobody listens."""
    with host_maps.opened(pins.in_use()) as host:
        if host:
            with contextlib.closing(Control(host.control)) as control:
                control.listening = False


def _not_sent(pins: Pins) -> dict[int, dict[str, int]]:
    """Return how many events each filter could not send since it exists, by the id of the map that counts them."""
    pins, found = pins.in_use(), {}
    layout = schema.layouts(host_maps.schema_number(pins))["event_budget"]
    for name in pins.filters():
        counting = pins.open_map(pins.filter_pin(name, "event_budget"))
        if counting:
            with counting:
                sums = filter_facts.sums_over_cpus(counting, layout)
                found[counting.map_id] = {field: sums[field] for field in ("suppressed", "lost")}
    return found


def time_of(record: bytes) -> int:
    """Return the time of an event, as CLOCK_MONOTONIC in ns."""
    return int.from_bytes(record[:8], sys.byteorder)
