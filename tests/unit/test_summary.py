# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few lines that sum up the facts of a host."""

from __future__ import annotations

from collections import Counter

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.summary import lines
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.totals import Totals, totals

EMPTY = {"count": 0, "capacity": 16, "top": []}


def cells(**packets: int) -> dict:
    return {reason: {"ipv4": {"packets": packets.get(reason, 0), "bytes": 0}} for reason in schema.DROP_REASONS}


def counting(passed: int = 0, mode: str = "native", would: int = 0, **dropped: int) -> dict:
    """Return the facts of a filter that has dropped so many packets for these reasons."""
    return {
        "mode": mode,
        "options": {"policy": "pass"},
        "counters": {
            "passed": {"packets": passed},
            "dropped": {"packets": sum(dropped.values())},
            "reasons": cells(**dropped),
            "would_drop": {"reasons": cells(policy_drop=would)},
        },
    }


def facts(*filters: dict, top: tuple = ()) -> dict:
    blocklist = {**EMPTY, "top": list(top)}
    named = {f"eth{number}": each for number, each in enumerate(filters)}
    return {"filters": named, "lists": {"blocklist": blocklist, "allowlist": EMPTY}}


def totals_of(found: dict) -> Totals:
    return totals(each["counters"] for each in found["filters"].values())


def test_what_filters_counted_is_added_up():
    found = totals_of(facts(counting(3, blocklist=2), counting(4, blocklist=5, ratelimit=1, would=2)))
    assert found == Totals(7, 8, Counter(blocklist=7, ratelimit=1), Counter(policy_drop=2))


def test_a_filter_that_is_removed_in_a_window_leaves_no_negative_count():
    before, after = totals_of(facts(counting(9, blocklist=9), counting(1))), totals_of(facts(counting(2, blocklist=1)))
    assert after.since(before) == Totals(0, 0, Counter(), Counter())


def test_reasons_are_told_in_the_order_of_their_packets():
    said = lines(facts(counting(ratelimit=1000, blocklist=2, policy_drop=3)))
    assert (
        said[1]
        == "dropped 1,005 packets in all (ratelimit 1,000, policy_drop 3, blocklist 2); passed 0 of any protocol"
    )


def test_ten_lines_are_enough_for_any_host():
    entry = {"ip": "192.0.2.1", "packets": 1, "owners": ["adhoc"]}
    many = facts(*[counting(1, would=1, blocklist=1)] * 9, counting(mode="none"), top=(entry,) * 9)
    said = lines(many, recent=totals_of(many), seconds=2)
    assert len(said) <= 10
    assert said[2] == "and 8 more filters, 1 of them not attached"


def test_a_filter_whose_options_are_not_noted_has_no_made_up_policy():
    assert lines(facts({**counting(), "options": {}}))[0] == "eth0: on (native), policy=unknown"
