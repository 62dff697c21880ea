# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processing time of the filter, as facts report it."""

from __future__ import annotations

import os

import pytest
from model import Options
from packets import ip, ping
from scapy.all import TCP

pytestmark = pytest.mark.kernel

DROP_PING = Options(policy="drop")
PING, OTHER = bytes(ping()), bytes(ip() / TCP())


def counts(filter_):
    told = filter_.told()["processing_time"]
    return told["passed"]["count"], told["dropped"]["count"]


@pytest.fixture
def one_cpu():
    """Run on one CPU, because each CPU counts samples separately."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("hook", ["xdp", "tc_ingress"])
def test_with_a_sample_of_one_every_frame_is_measured(host, hook):
    filter_ = host.filter(DROP_PING, timing_sample=1, hook=hook)
    host.set_lists()
    before = counts(filter_)
    filter_.repeat(OTHER, 300)
    filter_.repeat(PING, 200)
    assert [now - then for now, then in zip(counts(filter_), before)] == [300, 200]


def test_one_frame_in_so_many_is_measured(host, one_cpu):
    filter_ = host.filter(DROP_PING, timing_sample=10)
    host.set_lists()
    before = counts(filter_)
    for _time in range(10):
        filter_.repeat(OTHER, 5)
        filter_.repeat(OTHER, 5)
    assert [now - then for now, then in zip(counts(filter_), before)] == [10, 0]


def test_facts_tell_times_that_can_be(host):
    filter_ = host.filter(DROP_PING, timing_sample=1)
    filter_.repeat(PING, 1000)
    told = filter_.told()["processing_time"]
    dropped = told["dropped"]
    assert told["sample"] == 1
    assert 0 < dropped["average"] < 10**9
    assert 0 < dropped["p50"] <= dropped["p90"] <= dropped["p99"]


def test_nothing_is_told_where_nothing_was_measured(host):
    assert host.filter(DROP_PING).told()["processing_time"] is None
    unused = host.filter(Options(), timing_sample=7).told()["processing_time"]
    assert unused["passed"] == {"count": 0, "average": None, "p50": None, "p90": None, "p99": None}


def test_measuring_changes_no_verdict(host):
    host.set_lists()
    filter_ = host.filter(Options(policy="drop", monitor=True), timing_sample=1)
    before = counts(filter_)
    assert filter_.send(PING).action == "pass"
    # The frame is timed as passed, although its reason drops.
    assert [now - then for now, then in zip(counts(filter_), before)] == [1, 0]
