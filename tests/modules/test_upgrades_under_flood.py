# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""During changes of every kind, no listed ping is answered and no unlisted ping is lost."""

from __future__ import annotations

import itertools

import pytest
from flood import LISTED, UNLISTED, cable
from running import SOURCES, changed, facts, run
from schemas import EARLIER, LATER_SOURCES, be_later

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import netlink, tc

OPTIONS = (
    {"policy": "drop", "icmp_types": ["timestamp-request"]},
    {"timing_sample": 3},
    {"events": "dropped"},
    {"ratelimit_pps": 1_000_000},
    {"max_entries": 300},
    {"icmp_types": ["all"], "protect": False},
    {"max_entries": 70_000},
    {
        "ratelimit_pps": 1_000_000,
        "ratelimit_sources": 10,
        "timing_sample": 1,
        "events": "all_icmp",
        "events_per_second": 5,
    },
    {},
)
MODES = ("generic", "native")


@pytest.fixture(params=["tc in use", "tc not in use"])
def tc_in_use(request):
    """Whether pk0 has a clsact qdisc before the flood begins."""
    if request.param == "tc in use":
        tc.ensure_clsact(netlink.link("pk0").ifindex)
    return request.param == "tc in use"


@pytest.fixture
def flood():
    """A flood that reaches pk0, which has a filter."""
    with cable() as flood:
        changed("xdp_filter", interface="pk0")
        changed("xdp_blocklist", ip=[LISTED, "203.0.113.0/24"], owner="inventory")
        with flood:
            wait_for_packets(flood)
            yield flood


def wait_for_packets(flood, number: int = 20):
    before = dict(flood.sent)
    while min(flood.sent[source] - before[source] for source in before) < number:
        pass


def change_list(number: int) -> None:
    """Replace all entries but the one under test in a full sync."""
    others = [f"10.{number}.{third}.{fourth}" for third in range(4) for fourth in range(50)]
    changed("xdp_blocklist", ip=[LISTED, *others], owner="inventory", exclusive=True)


def change_filter(**options) -> None:
    changed("xdp_filter", interface="pk0", reset=True, **options)


def upgraded(number: int) -> dict:
    """Return the sources of another version."""
    return {**SOURCES, "pingkiller.c": SOURCES["pingkiller.c"] + f"\n/* version {number} */\n"}


def assert_all_accounted_for(flood, *prepare, answers_may_be_lost: bool = False) -> None:
    assert flood.sent[LISTED] > 500
    assert flood.answered[LISTED] == 0
    lost = flood.sent[UNLISTED] - flood.answered[UNLISTED]
    assert lost == 0 or (answers_may_be_lost and lost > 0)
    told = facts(*prepare)
    reasons = told["filters"]["pk0"]["counters"]["reasons"]
    counted = {
        reason: families["ipv4"]["packets"]
        for reason, families in reasons.items()
        if reason != "not_icmp" and "ipv4" in families
    }
    assert counted["blocklist"] == flood.sent[LISTED]
    assert sum(counted.values()) == flood.sent[LISTED] + flood.sent[UNLISTED], counted
    entries = {entry["ip"]: entry["packets"] for entry in told["lists"]["blocklist"]["top"]}
    assert entries == {LISTED: counted["blocklist"]}


@pytest.mark.slow
def test_nothing_gets_through_and_nothing_is_lost_in_50_changes(flood):
    options, number = itertools.cycle(OPTIONS), 0
    while number < 50:
        change_filter(**next(options))
        change_list(number % 200)
        change_filter(_sources=upgraded(number))
        number += 3
    flood.__exit__()
    assert_all_accounted_for(flood)


def test_nothing_gets_through_and_nothing_is_lost_while_maps_of_an_earlier_schema_are_replaced():
    be_earlier, sources = EARLIER[1]
    with cable() as flood:
        changed("xdp_filter", be_earlier, interface="pk0", timing_sample=1, _sources=sources)
        changed("xdp_blocklist", be_earlier, ip=[LISTED, "203.0.113.0/24"], owner="inventory")
        with flood:
            wait_for_packets(flood, 300)
            change_filter(timing_sample=1)
            wait_for_packets(flood)
            change_list(1)
            changed("xdp_filter", be_later, interface="pk0", timing_sample=1, _sources=LATER_SOURCES)
            wait_for_packets(flood, 300)
        assert_all_accounted_for(flood, be_later)


def test_nothing_gets_through_and_nothing_is_lost_while_the_mode_changes(tc_in_use, flood):
    for mode in MODES * 4:
        change_filter(mode=mode)
        assert facts()["filters"]["pk0"]["mode"] == mode
    flood.__exit__()
    # An interface sends nothing while the kernel adds its first clsact, and while it removes that.
    assert_all_accounted_for(flood, answers_may_be_lost=not tc_in_use)


def test_a_mode_that_is_refused_leaves_the_old_one_without_a_moment_between(tc_in_use, flood):
    change_filter(mode="generic")
    wait_for_packets(flood)

    def refuse_native():
        from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import compiler

        attach = compiler.attach
        compiler.attach = lambda link, program, mode: "no" if mode == "native" else attach(link, program, mode)

    said = run("xdp_filter", refuse_native, interface="pk0", mode="native")["msg"]
    assert "cannot take the filter in native mode (no)" in said
    assert facts()["filters"]["pk0"]["mode"] == "generic"
    wait_for_packets(flood)
    flood.__exit__()
    assert_all_accounted_for(flood, answers_may_be_lost=not tc_in_use)
