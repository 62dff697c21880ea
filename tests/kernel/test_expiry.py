# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries with an expiry time. The data path itself stops matching them, without help from user space."""

from __future__ import annotations

import struct
import time

import pytest
from model import Options
from network import wait_until
from packets import DESTINATION, SOURCE, SOURCE6, ping, ping6

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations

pytestmark = pytest.mark.kernel

PING = bytes(ping())
NETWORK = "198.51.100.0/24"


@pytest.fixture(autouse=True)
def _empty_lists(host):
    """Clear the lists of all owners in these tests, before and after each test."""

    def clear():
        host.set_lists()
        for name in ("blocklist", "allowlist"):
            for owner in ("adhoc", "feed"):
                host.change(name, content="", exclusive=True, owner=owner)

    clear()
    yield
    clear()


@pytest.fixture
def filter_(host):
    return host.filter(Options())


@pytest.fixture
def soon(monkeypatch):
    """Make every ttl expire after 100 ms."""
    monkeypatch.setattr(durations, "until", lambda _seconds: durations.boot_time() + 100_000_000)


def over(filter_, frame=PING):
    wait_until(lambda: filter_.send(frame).action == "pass", "the entry holds for ever")


def block(host, *ips, **more):
    return host.change("blocklist", ip=list(ips), **more)


@pytest.mark.parametrize(
    ("ip", "packet"),
    [(SOURCE, ping()), (NETWORK, ping()), (SOURCE6, ping6()), ("2001:db8::/32", ping6())],
    ids=["address", "network", "ipv6 address", "ipv6 network"],
)
def test_an_entry_stops_matching_at_its_time_with_nobody_there(host, filter_, soon, ip, packet):
    start = time.clock_gettime(time.CLOCK_BOOTTIME)
    block(host, ip, ttl="1h")
    over(filter_, bytes(packet))
    assert time.clock_gettime(time.CLOCK_BOOTTIME) - start >= 0.1


@pytest.mark.parametrize("ip", [SOURCE, NETWORK])
def test_an_entry_matches_until_its_time(host, filter_, ip):
    block(host, ip, ttl="1h")
    assert filter_.send(PING).action == "drop"


def test_an_allowed_source_is_allowed_until_its_time(host, soon):
    filter_ = host.filter(Options(policy="drop"))
    host.change("allowlist", ip=[SOURCE], ttl="1h")
    wait_until(lambda: filter_.send(PING).action == "drop", "the entry holds for ever")


def test_an_expired_entry_hides_no_network_around_it(host, filter_, soon):
    block(host, "198.51.0.0/16")
    block(host, NETWORK, SOURCE, ttl="1h")
    credited = ("entry", "blocklist", "198.51.0.0/16")
    host._open_lists()
    wait_until(lambda: credited in filter_.send(PING).changes, "what has expired hides the network")


def test_what_has_expired_is_gone_from_facts_and_from_the_list_with_the_next_change(host, filter_, soon):
    block(host, SOURCE, ttl="1h")
    over(filter_)
    assert host.list_facts("blocklist")["entries"] == []
    assert host.list_facts("blocklist")["count"] == 0
    host._open_lists()
    assert len(host.records()) == 1  # still stored, because no change has removed it yet
    told = block(host, "10.0.0.1")
    assert (told["added"], told["removed"], told["count"]) == (["10.0.0.1"], [], 1)
    host._open_lists()
    assert list(host.records()) == [("entry", "blocklist", "10.0.0.1")]


def test_facts_tell_the_time_that_is_left(host, filter_):
    block(host, SOURCE, ttl="1h")
    block(host, "10.0.0.1")
    left = {entry["ip"]: entry["expires_in"] for entry in host.list_facts("blocklist")["entries"]}
    assert left["10.0.0.1"] is None
    assert 3600 - 60 < left[SOURCE] <= 3600


def test_the_same_command_later_renews_the_time_and_says_so(host, filter_, monkeypatch):
    clock = durations.boot_time()
    monkeypatch.setattr(durations, "until", lambda seconds: clock + seconds * 10**9)
    assert block(host, SOURCE, ttl="1h")["added"] == [SOURCE]
    assert not block(host, SOURCE, ttl="1h")["changed"]
    filter_.send(PING)
    clock += 10**9
    assert block(host, SOURCE, ttl="1h", check=True)["updated"] == [SOURCE]
    assert block(host, SOURCE, ttl="1h")["updated"] == [SOURCE]
    host._open_lists()
    assert host.records()["entry", "blocklist", SOURCE][0] == 1  # its count is kept


def test_the_same_command_after_its_time_puts_the_entry_back(host, filter_, soon, monkeypatch):
    block(host, SOURCE, ttl="1h")
    over(filter_)
    monkeypatch.undo()
    assert block(host, SOURCE, ttl="1h", check=True)["added"] == [SOURCE]
    assert block(host, SOURCE, ttl="1h")["added"] == [SOURCE]
    assert filter_.send(PING).action == "drop"


def test_an_entry_may_be_given_for_ever_what_it_had_for_a_time(host, filter_):
    block(host, SOURCE, ttl="1h")
    assert block(host, SOURCE)["updated"] == [SOURCE]
    assert host.list_facts("blocklist")["entries"][0]["expires_in"] is None


def test_what_one_owner_wanted_for_a_time_another_keeps(host, filter_, monkeypatch):
    block(host, SOURCE, owner="feed")
    with monkeypatch.context() as patch:
        patch.setattr(durations, "until", lambda _seconds: durations.boot_time() + 50_000_000)
        block(host, SOURCE, ttl="1h")
    wait_until(lambda: host.list_facts("blocklist")["entries"][0]["owners"] == ["feed"], "the claim never ends")
    assert filter_.send(PING).action == "drop"
    assert block(host, SOURCE, owner="feed", absent=True)["removed"] == [SOURCE]
    assert filter_.send(PING).action == "pass"


def test_each_side_holds_as_long_as_its_owner_wants(host, filter_, soon):
    block(host, SOURCE, owner="feed", direction="dst")
    block(host, SOURCE, ttl="1h")
    over(filter_)
    assert filter_.send(bytes(ping(src=DESTINATION, dst=SOURCE))).action == "drop"
    (entry,) = host.list_facts("blocklist")["entries"]
    assert (entry["owners"], entry["direction"]) == (["feed"], "dst")


def test_taking_away_what_has_expired_is_no_change(host, filter_, soon):
    block(host, SOURCE, ttl="1h")
    over(filter_)
    assert not block(host, SOURCE, absent=True, check=True)["changed"]
    assert not block(host, SOURCE, absent=True)["changed"]


def test_what_has_expired_leaves_room_for_others(host, filter_, soon):
    block(host, *(f"10.0.0.{number}" for number in range(64)), ttl="1h")  # the capacity of the list
    over(filter_, bytes(ping(src="10.0.0.63")))
    assert block(host, *(f"10.0.1.{number}" for number in range(64)))["added_count"] == 64


KTIME_GET_BOOT_NS = 125  # bpf-helpers(7), numbered in linux/bpf.h


@pytest.mark.parametrize("options", [{}, {"ratelimit_pps": 5}], ids=["expiry", "expiry and rate limit"])
def test_the_clock_of_expiry_goes_on_while_the_host_is_suspended(host, options):
    """Check which clock the program reads. The clocks differ only after a suspend, and no test suspends the machine."""
    with host.compiled(**options) as function:
        code = function.bpf.dump_func(function.name)
    calls = [imm for opcode, _registers, _offset, imm in struct.iter_unpack("=BBhi", code) if opcode == 0x85]
    assert KTIME_GET_BOOT_NS in calls
