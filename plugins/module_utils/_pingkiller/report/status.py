# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host once, for a fleet's status: does it filter as wanted, what does it drop now, and who sends most.

Reads only, compiles nothing and takes no lock.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import PingKillerError
from ..kernel import access, schema
from ..store import entry_list
from ..store.pins import Pins
from . import busiest, drift, filter_facts, installed, totals
from .busiest import Source
from .totals import LONGEST_WINDOW, Totals
from .wanted import Wanted, WantedFilter

if TYPE_CHECKING:
    from .explain import Explanation

Facts = dict[str, Any]

SOURCES = 10  #: that are told
_RATELIMIT = "ratelimit"


class Question(NamedTuple):
    """What is asked of a host."""

    window: float = 1.0  #: seconds to measure for
    address: str | None = None  #: to be explained
    details: bool = False


class Filter(NamedTuple):
    """A filter that is wanted, or there."""

    wanted: bool
    mode: str  #: native, generic or tc; none if it is not attached
    policy: str | None  #: None if it is not known
    monitor: bool
    counted: Totals

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Sorts filters with problems first."""
        return self.mode != "none" or not self.wanted, self.wanted, not self.monitor


class Fill(NamedTuple):
    """How full a list is."""

    entries: int
    capacity: int
    owners: dict[str, int]  #: entries by owner; empty unless asked for


class Status(NamedTuple):
    """A host at one moment."""

    version: str | None
    kernel: str
    wanted: bool
    filters: dict[str, Filter]
    drift: list[str]
    lists: dict[str, Fill]
    counted: Totals
    seconds: float  #: that ``recent`` is about
    recent: Totals
    sources: list[Source]
    notes: list[str]
    facts: dict[str, Facts]  #: of each filter, as ``filter_facts.collect`` returns them
    timing: Counter[str]  #: as ``filter_facts.times``, of all filters; empty unless asked for
    explanation: Explanation | None


def status(base: str, wanted: Wanted, question: Question) -> Status:
    """Look at a host, which takes as long as the window. Raises PingKillerError, also without root."""
    if not 0 <= question.window <= LONGEST_WINDOW:
        raise PingKillerError(
            f"window={question.window:g} is out of range: give 0 to {LONGEST_WINDOW} seconds, 0 for no measurement"
        )
    access.require_root()
    entries, began, before = busiest.Entries(), time.monotonic(), _counters(_pins(base))
    entries.read(_pins(base), 0)
    found, changes = wanted.filters(), drift.drift(base, wanted)
    explanation = _explained(base, wanted, question.address)
    lists = {name: _fill(_pins(base), name, owners=question.details) for name in schema.LISTS}
    if question.window:
        time.sleep(max(0.0, began + question.window - time.monotonic()))
    pins = _pins(base)
    facts = {name: filter_facts.collect(pins, name, SOURCES) for name in pins.filters()}
    after, seconds = {name: each["counters"] for name, each in facts.items()}, time.monotonic() - began
    recent = {name: _of(each).since(_of(before[name])) for name, each in after.items() if name in before}
    dropped = {name: each.reasons[_RATELIMIT] for name, each in recent.items()}
    return Status(
        version=installed.version(pins),
        kernel=os.uname().release,
        wanted=wanted.present,
        filters=_filters(facts, found),
        drift=changes,
        lists=lists,
        counted=totals.totals(after.values()),
        seconds=seconds if question.window else 0.0,
        recent=totals.added(recent.values()),
        sources=busiest.busiest(entries.read(pins, SOURCES), busiest.limited(facts, dropped), SOURCES),
        notes=pins.warnings() + [note for name in facts for note in filter_facts.notes(pins, name)],
        facts=facts,
        timing=_timing(pins, facts if question.details else ()),
        explanation=explanation,
    )


def _pins(base: str) -> Pins:
    """Return the pins that are in use now: the maps may be replaced at any moment."""
    pins = Pins(base)
    pins.check_mount()
    return pins.in_use()


def _counters(pins: Pins) -> dict[str, Facts]:
    return {name: filter_facts.counters(pins, name) for name in pins.filters()}


def _of(counters: Facts) -> Totals:
    return totals.totals([counters])


def _timing(pins: Pins, names: Iterable[str]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for name in names:
        sums.update(filter_facts.times(pins, name))
    return sums


def _filters(facts: dict[str, Facts], wanted: dict[str, WantedFilter]) -> dict[str, Filter]:
    """Return the filters that are there or wanted, those with problems first."""
    found = {}
    for name in sorted({*facts, *wanted}):
        now, asked = facts.get(name), wanted.get(name)
        options = now["options"] if now and now["options"] else asked.options if asked else {}
        found[name] = Filter(
            wanted=asked is not None,
            mode=now["mode"] if now else "none",
            policy=options.get("policy"),
            monitor=options.get("monitor") is True,
            counted=totals.totals([now["counters"]] if now else []),
        )
    return dict(sorted(found.items(), key=lambda each: each[1].rank))


def _fill(pins: Pins, name: str, *, owners: bool) -> Fill:
    with entry_list.opened_list(pins, name) as entries:
        if entries is None:
            return Fill(0, 0, {})
        counted: Counter[str] = Counter()
        for held in entries.held() if owners else ():
            counted.update(dict.fromkeys(held.claims, len(held.keys)))
        return Fill(entries.count, entries.capacity, dict(counted.most_common()))


def _explained(base: str, wanted: Wanted, address: str | None) -> Explanation | None:
    if address is None:
        return None
    from .explain import explain  # most looks ask for no address

    return explain(base, wanted.store, [address])[0]
