# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that sends too much is blocked for a while, and other sources are not."""

from __future__ import annotations

import time

import pytest
from model import SECOND, Entry, Options, Source
from network import wait_until
from packets import DESTINATION, SOURCE, SOURCE6, STRANGER, icmp6, ip, ping, ping6
from scapy.all import ICMP, TCP, Raw

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import addresses
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema

pytestmark = pytest.mark.kernel

PPS, HOUR = 5, 3600
PING, PING6 = bytes(ping()), bytes(ping6())
LATER_FRAGMENT = bytes(ip(proto=1, frag=9) / Raw(bytes(64)))


def sources(filter_):
    """Open the table of sources in the kernel."""
    return bpf.Map.open(filter_.host.pins.filter_pin(filter_.name, "sources"))


@pytest.fixture
def limited(host):
    """Return a function that makes a filter with a limit, no known sources and empty lists."""

    def make(options=Options(), block_time=HOUR, **more):
        filter_ = host.filter(options, ratelimit_pps=PPS, ratelimit_block_time=block_time, **more)
        host.set_lists()
        with sources(filter_) as table:
            for key, _value in list(table.items()):
                table.delete(key)
        return filter_

    return make


@pytest.mark.parametrize("hook", ["xdp", "tc_ingress"])
@pytest.mark.parametrize("frame", [PING, PING6], ids=["ipv4", "ipv6"])
def test_what_is_above_the_limit_is_dropped_and_what_is_below_passes(limited, frame, hook):
    filter_ = limited(hook=hook)
    assert filter_.moved(lambda: filter_.repeat(frame, PPS)) == {"policy_pass": PPS}
    assert filter_.moved(lambda: filter_.repeat(frame, 20)) == {"ratelimit": 20}
    assert filter_.send(frame).action == "drop"


def test_a_new_second_is_a_new_count(limited):
    filter_ = limited()
    filter_.repeat(PING, PPS)
    with sources(filter_) as table:
        ((key, value),) = table.items()
        source = schema.SOURCE_STATE.unpack(value)
        assert source["packets"] == PPS
        table.update(key, schema.SOURCE_STATE.pack(window=source["window"] - 10**9, packets=source["packets"]))
    assert filter_.moved(lambda: filter_.repeat(PING, PPS)) == {"policy_pass": PPS}


def test_a_blocked_source_is_let_in_again_when_its_time_is_over(limited):
    filter_ = limited(block_time=1)
    start = time.monotonic()
    filter_.repeat(PING, PPS + 1)
    wait_until(lambda: filter_.send(PING).action == "pass", "the source stays blocked")
    assert time.monotonic() - start >= 1
    assert filter_.moved(lambda: filter_.repeat(PING, PPS - 1)) == {"policy_pass": PPS - 1}


def test_the_time_of_a_source_begins_with_the_packet_that_is_too_much(limited):
    filter_, begun = limited(block_time=2), durations.boot_time()
    filter_.set_sources({SOURCE: Source(begun - SECOND // 2, PPS)})
    assert filter_.send(PING).action == "drop"
    assert filter_.sources()[SOURCE].blocked_until > begun + 2 * SECOND - SECOND // 4


def test_one_source_does_not_cost_another_its_answers(limited):
    filter_ = limited()
    filter_.repeat(PING, 100)
    for other in (ping(src=STRANGER), ping(src="198.51.100.8"), ping(src=DESTINATION, dst=SOURCE), ping6()):
        assert filter_.send(bytes(other)).action == "pass"


def test_an_allowed_source_is_never_limited(limited):
    filter_ = limited()
    filter_.host.set_lists(allowlist=(Entry(SOURCE),))
    assert filter_.moved(lambda: filter_.repeat(PING, 100)) == {"allowlist": 100}
    assert filter_.told()["ratelimit"]["sources"] == 0


def test_a_source_that_was_blocked_passes_once_it_is_allowed(limited):
    filter_ = limited()
    filter_.repeat(PING, 100)
    filter_.host.set_lists(allowlist=(Entry("198.51.100.0/24"),))
    assert filter_.send(PING).action == "pass"


def test_what_the_blocklist_drops_is_not_counted_for_the_limit(limited):
    filter_ = limited()
    filter_.host.set_lists(blocklist=(Entry(SOURCE),))
    assert filter_.moved(lambda: filter_.repeat(PING, 100)) == {"blocklist": 100}
    assert filter_.told()["ratelimit"]["sources"] == 0


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (LATER_FRAGMENT, "type"),
        (bytes(ip() / ICMP(type=0)), "type"),
        (bytes(ip() / ICMP(type=3, code=4)), "protected"),
        (bytes(icmp6(135, hlim=255)), "protected"),
        (bytes(ip() / TCP()), "not_icmp"),
        (PING[:40], "malformed"),
    ],
    ids=["later fragment", "other type", "protected", "neighbour solicitation", "tcp", "malformed"],
)
def test_only_filtered_types_are_counted_and_only_they_are_dropped(limited, frame, reason):
    filter_ = limited()
    assert filter_.moved(lambda: filter_.repeat(frame, 100)) == {reason: 100}
    assert filter_.told()["ratelimit"]["sources"] == 0
    filter_.repeat(PING, 100)
    filter_.repeat(PING6, 100)
    assert filter_.send(frame).action == "pass"


@pytest.mark.parametrize("prefix", [1, 32, 33, 64, 127, 128])
def test_ipv6_sources_of_one_prefix_are_one_source(limited, prefix):
    filter_ = limited(ratelimit_ipv6_prefix=prefix)
    number = int.from_bytes(addresses.parse(SOURCE6), "big")
    inside = number ^ 1 << 128 - prefix >> 1  # the first bit after the prefix, if there is one
    outside = number ^ 1 << 128 - prefix  # the last bit of the prefix
    frames = [bytes(ping6(src=addresses.display(each.to_bytes(16, "big")))) for each in (number, inside, outside)]
    with sources(filter_) as table:
        for frame, known in zip(frames, (1, 1, 2)):
            filter_.send(frame)
            assert len(list(table.items())) == known


def test_turning_through_the_addresses_of_a_prefix_does_not_help(limited):
    filter_ = limited()
    for suffix in range(4):
        filter_.repeat(bytes(ping6(src=f"2001:db8:1::{suffix}:1")), 2)
    assert filter_.send(bytes(ping6(src="2001:db8:1::ffff:ffff:ffff:ffff"))).action == "drop"
    assert filter_.send(bytes(ping6(src="2001:db8:1:1::"))).action == "pass"


def test_facts_tell_who_is_blocked_and_for_how_long(limited):
    filter_ = limited()
    nobody = {"blocked_count": 0, "blocked": [], "would_block_count": 0, "would_block": []}
    assert filter_.told()["ratelimit"] == {"sources": 0, **nobody}
    filter_.send(bytes(ping(src=STRANGER)))
    filter_.repeat(PING, 100)
    filter_.repeat(PING6, 100)
    told = filter_.told()["ratelimit"]
    assert (told["sources"], told["blocked_count"]) == (3, 2)
    # The longest remaining time comes first. IPv6 sources are prefixes.
    assert [each["ip"] for each in told["blocked"]] == ["2001:db8:1::/64", SOURCE]
    assert all(HOUR - 60 < each["seconds_left"] <= HOUR for each in told["blocked"])


def test_facts_say_nothing_of_a_limit_where_there_is_none(host):
    assert host.filter(Options()).told()["ratelimit"] is None


def test_a_source_whose_time_is_over_is_no_longer_told(limited):
    filter_ = limited(block_time=1)
    filter_.repeat(PING, 100)
    assert filter_.told()["ratelimit"]["blocked_count"] == 1
    wait_until(lambda: not filter_.told()["ratelimit"]["blocked"], "the source is told as blocked for ever")


def test_monitor_mode_counts_what_would_be_limited_and_lets_it_pass(limited):
    filter_ = limited(Options(monitor=True))
    filter_.repeat(PING, PPS)
    assert filter_.send(PING) == ("pass", {("reason", "would_drop.ratelimit", "ipv4"): (1, len(PING))})


def test_the_limit_comes_before_the_policy(limited):
    filter_ = limited(Options(policy="drop"))
    moved = filter_.moved(lambda: filter_.repeat(PING, PPS + 2))
    assert moved == {"policy_drop": PPS, "ratelimit": 2}


def test_more_sources_than_there_is_room_for_push_out_the_oldest(limited):
    filter_ = limited(ratelimit_sources=16)
    for number in range(200):
        assert filter_.send(bytes(ping(src=f"10.0.0.{number}"))).action == "pass"
    assert 0 < filter_.told()["ratelimit"]["sources"] <= 200
