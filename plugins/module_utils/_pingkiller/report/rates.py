# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make rates of counts that were read one after the other. The functions and classes are pure: they read no clock and no map."""

from __future__ import annotations

import heapq
import operator
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain, compress, count
from typing import NamedTuple

from ..histogram import percentile
from ..kernel import schema

MINUTE = 60  #: seconds of a history, with one number for each
_TIMED_SECONDS = 10  #: processing times are those of so many last seconds: a sample has few frames of a quiet interface

Counts = Mapping[str, int]


class Times(NamedTuple):
    """The processing times of passed or of dropped frames, in ns; None without measured frames."""

    samples: int  #: frames that were measured
    average: int | None
    p99: int | None


class Rates(NamedTuple):
    """What was counted per second, by the names of the counts, what it was in the last minute, and how long it took."""

    seconds: float  #: that ``per_second`` is about: since the reading before; 0 for the first one
    per_second: dict[str, float]
    history: dict[str, list[float]]  #: for each count the last up to MINUTE seconds, oldest first
    times: dict[str, Times]  #: by verdict


class Meter:
    """Makes rates of the counts of one filter. ``watched`` are the names of the counts to keep a history of."""

    def __init__(self, watched: Iterable[str]) -> None:
        self._moment: float | None = None
        self._counts: Counts = {}
        self._timings: deque[tuple[float, Counts]] = deque()
        self._remembered: tuple[float, Counts] | None = None  #: the last reading that the history has
        self._owed = 0.0  #: seconds that the history does not have yet
        self._history: dict[str, deque[float]] = {name: deque(maxlen=MINUTE) for name in watched}

    def read(self, moment: float, counts: Counts, timing: Counts) -> Rates:
        """Take a reading at a moment, in seconds, and return the rates since the reading before; zeros for the first one.

        ``timing`` is as in ``schema.TIMING``, summed over all CPUs; empty if nothing was ever measured.
        """
        seconds = 0.0 if self._moment is None else moment - self._moment
        rates = _per_second(self._counts, counts, seconds)
        self._moment, self._counts = moment, counts
        self._remember(moment, counts)
        history = {name: list(numbers) for name, numbers in self._history.items()}
        return Rates(seconds, rates, history, self._times(moment, timing))

    def _remember(self, moment: float, counts: Counts) -> None:
        """Put the seconds since the last ones into the history. Readings further apart count for several seconds."""
        since, before = self._remembered or (moment, counts)
        whole = int(self._owed + moment - since + 0.1)  # a reading that comes a little early is one of its second
        if whole:
            rates = _per_second(before, counts, moment - since)
            for name, history in self._history.items():
                history.extend([rates.get(name, 0.0)] * min(whole, MINUTE))
        if whole or self._remembered is None:
            self._owed += moment - since - whole
            self._remembered = moment, counts

    def _times(self, moment: float, timing: Counts) -> dict[str, Times]:
        self._timings.append((moment, timing))
        while len(self._timings) > 2 and self._timings[1][0] <= moment - _TIMED_SECONDS:
            self._timings.popleft()
        before = self._timings[0][1]
        return {verdict: times(before, timing, verdict) for verdict in schema.VERDICTS}


def _per_second(before: Counts, now: Counts, seconds: float) -> dict[str, float]:
    """Return the growth of each count per second. A count that went down began anew."""
    if seconds <= 0:
        return dict.fromkeys(now, 0.0)
    return {name: grown(before.get(name, 0), number) / seconds for name, number in now.items()}


def grown(before: int, now: int) -> int:
    """Return by how much a count has grown. One that went down began anew."""
    return now - before if now >= before else now


def times(before: Counts, now: Counts, verdict: str) -> Times:
    """Return the processing times that were measured between two readings of ``schema.TIMING``."""

    def more(name: str) -> int:
        field = f"{verdict}.{name}"
        return grown(before.get(field, 0), now.get(field, 0))

    samples = more("count")
    if not samples:
        return Times(0, None, None)
    buckets = [more(f"bucket{number}") for number in range(schema.TIMING_BUCKETS)]
    return Times(samples, round(more("sum") / samples), percentile(buckets, 99))


class Pace:
    """How often something may be read, so that reading it takes no more than a share of one processor."""

    def __init__(self, share: float = 0.05) -> None:
        self._share = share
        self._next: float | None = None
        self.seconds = 0.0  #: from one reading to the next, at least

    def due(self, moment: float) -> bool:
        return self._next is None or moment >= self._next

    def took(self, moment: float, cost: float) -> None:
        """Note that a reading that began at a moment took ``cost`` seconds of a processor."""
        self.seconds = cost / self._share
        self._next = moment + self.seconds


class Busy(NamedTuple):
    """An entry that matched packets."""

    slot: int
    packets: int  #: ever
    more: int  #: since the reading before


class Table:
    """Finds the busiest entries of a list in readings of its table's columns.

    A list may have a million entries, so they are compared by columns and never become objects of their own.
    """

    def __init__(self) -> None:
        self._columns: dict[int, bytes] = {}

    def read(self, columns: Iterable[tuple[int, bytes, bytes]], number: int, *, by_total: bool = False) -> list[Busy]:
        """Return the ``number`` busiest entries since the last reading, or ever. ``columns`` are those of ``Records.packets``.

        Entries that have matched nothing at all are left out.
        """
        before, self._columns = self._columns, {}
        found: list[tuple[int, int, int]] = []
        for start, used, packets in columns:
            self._columns[start] = packets
            nothing = bytes(len(packets))
            if packets == nothing:  # quickly seen, and true for most of a long list
                continue
            counted = memoryview(packets).cast("Q")
            more = _more(memoryview(before.get(start, nothing if before else packets)).cast("Q"), counted)
            ranked = zip(counted, more, count(start)) if by_total else zip(more, counted, count(start))
            busy = compress(ranked, map(operator.mul, used, counted))
            found = heapq.nlargest(number, chain(found, busy))
        total, grew = (0, 1) if by_total else (1, 0)
        return [Busy(slot=each[2], packets=each[total], more=each[grew]) for each in found]


def _more(before: memoryview, now: memoryview) -> list[int]:
    differences = list(map(operator.sub, now, before))
    return differences if min(differences) >= 0 else list(map(grown, before, now))
