# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add up what all filters of a host have counted, in packets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..kernel import schema

LONGEST_WINDOW = 3600  #: seconds for which anybody may count what is dropped meanwhile


class Totals(NamedTuple):
    """What all filters of a host have counted, in packets."""

    passed: int
    dropped: int
    reasons: Counter[str]  #: dropped packets
    would_drop: Counter[str]  #: packets that only monitor mode passed, by the reason to drop them

    @property
    def by_verdict(self) -> dict[str, int]:
        """The packets that passed, were dropped, and would have been dropped without monitor mode."""
        return {"passed": self.passed, "dropped": self.dropped, "would_drop": sum(self.would_drop.values())}

    def since(self, before: Totals) -> Totals:
        """Return what was counted since. A filter that was removed meanwhile took its counts with it."""
        return Totals(
            passed=max(0, self.passed - before.passed),
            dropped=max(0, self.dropped - before.dropped),
            reasons=self.reasons - before.reasons,
            would_drop=self.would_drop - before.would_drop,
        )


def totals(counters: Iterable[dict[str, Any]]) -> Totals:
    """Add up counters, which are as ``filter_facts.counters`` returns those of a filter."""
    passed = dropped = 0
    reasons: Counter[str] = Counter()
    would_drop: Counter[str] = Counter()
    for each in counters:
        passed += each["passed"]["packets"]
        dropped += each["dropped"]["packets"]
        for reason in schema.DROP_REASONS:
            reasons[reason] += _packets(each["reasons"][reason])
            would_drop[reason] += _packets(each["would_drop"]["reasons"][reason])
    return Totals(passed, dropped, reasons, would_drop)


def _packets(by_family: dict[str, dict[str, int]]) -> int:
    return sum(cell["packets"] for cell in by_family.values())


def added(some: Iterable[Totals]) -> Totals:
    """Return the sum of several."""
    found = Totals(0, 0, Counter(), Counter())
    for each in some:
        found = Totals(
            passed=found.passed + each.passed,
            dropped=found.dropped + each.dropped,
            reasons=found.reasons + each.reasons,
            would_drop=found.would_drop + each.would_drop,
        )
    return found
