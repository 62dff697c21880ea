# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters of filters and entries, how they are reported, and which of them a list change keeps."""

from __future__ import annotations

import time

import pytest
from model import Entry, Options
from network import wait_until
from packets import DESTINATION, SOURCE, SOURCE6, ip, ping, ping6
from scapy.all import ICMP, TCP

pytestmark = pytest.mark.kernel

DROP_PING = Options(policy="drop")
PING, SIZE = bytes(ping()), len(ping())


def entry(host, ip, name="blocklist"):
    """Return (packets, bytes, last seen) of an entry."""
    return host.records()["entry", name, ip]


CLOCK_MONOTONIC_COARSE = 6  # the time of the last timer tick (linux/time.h)


def test_last_seen_is_the_time_of_the_packet_to_a_timer_tick(host):
    filter_ = host.filter(DROP_PING)
    host.set_lists(blocklist=(Entry(SOURCE),), allowlist=(Entry(SOURCE6),))
    for frame, ip_, name in ((PING, SOURCE, "blocklist"), (bytes(ping6()), SOURCE6, "allowlist")):
        start = time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)
        filter_.send(frame)
        assert start <= entry(host, ip_, name)[2] <= time.monotonic_ns()


def test_last_seen_moves_on(host):
    filter_ = host.filter(DROP_PING)
    host.set_lists(blocklist=(Entry(SOURCE),))
    filter_.send(PING)
    first = entry(host, SOURCE)[2]
    wait_until(lambda: filter_.send(PING) and entry(host, SOURCE)[2] > first, "last seen stands still")


def test_an_entry_that_decides_nothing_is_never_seen(host):
    filter_ = host.filter(DROP_PING)
    host.set_lists()
    around = (Entry("198.51.100.0/24"), Entry(DESTINATION, "dst"), Entry("203.0.113.0/24", "both"))
    host.set_lists(blocklist=(Entry(SOURCE), *around))
    for packet in (ping(), ip() / TCP(), ip() / ICMP(type=3, code=4), ip(src="10.0.0.1", dst="10.0.0.2") / ICMP()):
        filter_.send(bytes(packet))
    assert entry(host, SOURCE)[0] == 1
    assert all(entry(host, other.ip) == (0, 0, 0) for other in around)


def test_an_entry_that_stays_keeps_its_counts_and_one_that_comes_back_starts_anew(host):
    filter_ = host.filter(DROP_PING)
    host.set_lists()
    for blocklist, counted in (
        ((Entry(SOURCE), Entry("10.0.0.1")), 1),
        ((Entry("10.0.0.2"), Entry(SOURCE), Entry("10.0.0.0/8")), 2),
        ((Entry(SOURCE, "both"),), 3),
        ((), None),
        ((Entry(SOURCE),), 1),
    ):
        host.set_lists(blocklist=blocklist)
        filter_.send(PING)
        if counted:
            assert entry(host, SOURCE)[:2] == (counted, counted * SIZE)


def test_a_change_of_direction_takes_effect(host):
    filter_ = host.filter(Options())
    for direction, action in (("src", "drop"), ("dst", "pass"), ("both", "drop"), ("dst", "pass"), ("src", "drop")):
        for ip_ in (SOURCE, "198.51.100.0/24"):
            host.set_lists(blocklist=(Entry(ip_, direction),))
            assert filter_.send(PING).action == action


def test_an_empty_list_matches_nothing_after_it_held_everything(host):
    filter_ = host.filter(Options())
    host.set_lists(blocklist=(Entry("0.0.0.0/0", "both"), Entry(SOURCE)))
    assert filter_.send(PING).action == "drop"
    host.set_lists()
    assert filter_.send(PING).action == "pass"


NEARLY = 2**32 - 3


def test_counters_go_on_beyond_32_bits(host):
    """Check counters of the filter, its timing and an entry, in the kernel and in facts. They start just below 2^32."""
    filter_, times = host.filter(DROP_PING, timing_sample=1), 10
    host.set_lists()
    host.set_lists(blocklist=(Entry(SOURCE),))
    filter_.start_at(NEARLY)
    host.start_entries_at(NEARLY)
    filter_.repeat(PING, times)
    expected = {
        ("reason", "blocklist", "ipv4"): (NEARLY * host.cpus + times, NEARLY * host.cpus + times * SIZE),
        ("entry", "blocklist", SOURCE): (NEARLY + times, NEARLY + times * SIZE),
    }
    for found in (filter_.counters(), filter_.facts()):
        assert {key: found[key] for key in expected} == expected
    assert filter_.counters()["timed", "dropped"] == (NEARLY * host.cpus + times,)
    assert filter_.told()["processing_time"]["dropped"]["count"] == NEARLY * host.cpus + times


def test_facts_say_what_the_kernel_counted(host):
    filter_ = host.filter(DROP_PING)
    host.set_lists(blocklist=(Entry(SOURCE), Entry("2001:db8::/32", "both")), allowlist=(Entry("10.0.0.0/8"),))
    for packet in (ping(), ping6(), ping(src="10.0.0.1"), ping(src="11.0.0.1"), ip() / TCP()):
        filter_.send(bytes(packet))
    told, counted = filter_.facts(), filter_.counters()
    # Only non-zero counters, because facts leave out counters that cannot increase.
    assert {key: value for key, value in told.items() if any(value)} == {
        key: value for key, value in counted.items() if any(value)
    }
