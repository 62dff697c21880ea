# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events that a listener gets, and those that it does not get."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest
from model import EVERY_TYPE, Entry, Options
from network import wait_until
from packets import (
    DESTINATION,
    DESTINATION6,
    LINK,
    SOURCE,
    SOURCE6,
    STRANGER,
    STRANGER6,
    extension,
    fragment,
    ip,
    ip6,
    ping,
    ping6,
)
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1Q, Raw

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import ring_buffer, schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import events
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import control, host_maps, lock

pytestmark = pytest.mark.kernel

DROP_PING = Options(policy="drop")
PING, PING6 = bytes(ping()), bytes(ping6())
TCP4, TCP6 = bytes(ip() / TCP()), bytes(ip6() / TCP())
REPLY = bytes(ip() / ICMP(type=0))
PATIENCE = 10
MANY = 1_000_000


@pytest.fixture(autouse=True)
def _own_lock(monkeypatch, tmp_path):
    """Use a lock for each test, because other tests on this machine may listen to their own hosts."""
    monkeypatch.setattr(lock, "LISTENER_LOCK_FILE", str(tmp_path / "lock"))


@contextlib.contextmanager
def control_map(host):
    with host_maps.opened(host.pins) as maps, contextlib.closing(control.Control(maps.control)) as opened:
        yield opened


def heard(host, limit, action):
    """Run ``action``. Wait for ``limit`` events, and return them."""
    told: list = []
    thread = threading.Thread(target=lambda: told.append(events.listen(host.base, PATIENCE, limit)))
    thread.start()
    try:
        with control_map(host) as opened:
            wait_until(lambda: opened.listening or not thread.is_alive(), "nobody listens")
        action()
    finally:
        thread.join()
    assert told, "listening failed"
    return told[0]["events"]


def sent(filter_, *frames):
    """Return the events of these frames. Enough frames that are always reported follow, to end the listening."""
    limit = len(frames) + 1

    def action():
        for frame in (*frames, *[bytes(ping(src="10.99.99.99"))] * limit):
            filter_.send(frame)

    found = []
    for event in heard(filter_.host, limit, action):
        if event["src"] == "10.99.99.99":
            return found
        found.append(event)
    raise AssertionError(f"the last frame was not reported: {found}")


def brief(found):
    return [(event["verdict"], event["reason"], event["protocol"]) for event in found]


@pytest.fixture
def reporting(host):
    def make(events_, options=DROP_PING, **more):
        host.set_lists()
        return host.filter(options, events=events_, events_per_second=MANY, **more)

    return make


def test_an_event_says_everything_of_its_packet(reporting):
    filter_ = reporting("dropped")
    (event,) = sent(filter_, PING)
    assert event.pop("time").endswith("Z")
    assert event == {
        "interface": "lo",  # the kernel's interface for test runs
        "family": "ipv4",
        "protocol": 1,
        "type": 8,
        "code": 0,
        "verdict": "drop",
        "reason": "policy_drop",
        "src": SOURCE,
        "dst": DESTINATION,
        "length": len(PING),
        "vlan": None,
        "processing_ns": None,
    }


TOO_MANY_TAGS = PING[:12] + bytes.fromhex("8100a005") + bytes.fromhex("81000000") * 16 + PING[12:]
FIRST_FRAGMENT = bytes(ip6(nh=44) / Raw(fragment(60, more=True) + extension(60, 60)))


@pytest.mark.parametrize("events_", ["dropped", "all_icmp", "trace"])
def test_frames_that_cannot_be_classified_are_told_with_what_can_be_read_of_them(reporting, events_):
    told = sent(reporting(events_), TOO_MANY_TAGS, FIRST_FRAGMENT)
    names = ("family", "protocol", "type", "verdict", "reason", "src", "vlan")
    assert [tuple(event[name] for name in names) for event in told] == [
        ("other", 0, None, "drop", "too_many_tags", None, 5),
        ("ipv6", 44, None, "drop", "policy_drop", SOURCE6, None),
    ]


@pytest.mark.parametrize(("events_", "told"), [("dropped", 0), ("all_icmp", 2), ("trace", 2)])
def test_frames_that_cannot_be_classified_are_told_where_they_pass(reporting, events_, told):
    filter_ = reporting(events_, DROP_PING._replace(strict=False))
    found = [event["reason"] for event in sent(filter_, TOO_MANY_TAGS, FIRST_FRAGMENT)]
    assert found == ["unclassified"] * told


def test_an_event_of_ipv6_has_whole_addresses(reporting):
    (event,) = sent(reporting("dropped"), PING6)
    assert (event["family"], event["protocol"], event["type"]) == ("ipv6", 58, 128)
    assert (event["src"], event["dst"]) == (SOURCE6, DESTINATION6)


@pytest.mark.parametrize("hook", ["xdp", "tc_ingress"])
def test_of_two_tags_an_event_says_the_outer(reporting, hook):
    tagged = LINK / Dot1Q(vlan=100, prio=7) / Dot1Q(vlan=200) / ping()[IP]
    single = LINK / Dot1Q(vlan=4095) / ping()[IP]
    found = sent(reporting("dropped", hook=hook), bytes(tagged), bytes(single), PING)
    assert [event["vlan"] for event in found] == [100, 4095, None]


def test_only_what_is_dropped_is_reported_if_that_is_asked_for(reporting):
    filter_ = reporting("dropped")
    filter_.host.set_lists(blocklist=(Entry(STRANGER),), allowlist=(Entry("10.0.0.1"),))
    found = sent(filter_, REPLY, TCP4, bytes(ping(src="10.0.0.1")), bytes(ping(src=STRANGER)), PING[:40], PING)
    assert brief(found) == [("drop", "blocklist", 1), ("drop", "policy_drop", 1)]


def test_every_icmp_packet_is_reported_if_that_is_asked_for_and_nothing_else(reporting):
    filter_ = reporting("all_icmp")
    found = sent(filter_, TCP4, REPLY, TCP6, bytes(LINK / ARP(psrc=SOURCE)), PING[:40], PING, PING6)
    assert brief(found) == [
        ("pass", "type", 1),
        ("pass", "malformed", 1),
        ("drop", "policy_drop", 1),
        ("drop", "policy_drop", 58),
    ]


def test_a_trace_reports_every_ip_packet(reporting):
    filter_ = reporting("trace", Options())
    found = sent(filter_, TCP4, bytes(LINK / ARP(psrc=SOURCE)), TCP6, bytes(ip() / UDP()), PING)
    assert [(event["protocol"], event["src"], event["dst"], event["type"]) for event in found] == [
        (6, SOURCE, DESTINATION, None),
        (6, SOURCE6, DESTINATION6, None),
        (17, SOURCE, DESTINATION, None),
        (1, SOURCE, DESTINATION, 8),
    ]


def test_a_trace_leaves_out_what_it_is_told_to_on_either_side(reporting):
    filter_ = reporting("trace", Options(), trace_exclude=("198.51.100.0/24", "2001:db8:1::/48", STRANGER6))
    kept, kept6 = bytes(ping(src=STRANGER)), bytes(ip6(src="2001:db8:4::1") / TCP())
    left_out = [PING, PING6, bytes(ping(src=STRANGER, dst=SOURCE)), bytes(ping6(src="2001:db8:4::1", dst=STRANGER6))]
    found = sent(filter_, *left_out, kept, TCP4, kept6, TCP6)
    assert [event["src"] for event in found] == [STRANGER, "2001:db8:4::1"]


def test_a_later_fragment_has_no_type(reporting):
    later = bytes(ip(proto=1, frag=9) / Raw(b"\x08\x00" * 32))
    (event,) = sent(reporting("dropped", Options(policy="drop", icmp_types=EVERY_TYPE)), later)
    assert (event["type"], event["code"], event["reason"], event["src"]) == (None, None, "policy_drop", SOURCE)


def test_what_is_only_monitored_says_so(reporting):
    (event,) = sent(reporting("dropped", Options(policy="drop", monitor=True)), PING)
    assert (event["verdict"], event["reason"]) == ("would_drop", "policy_drop")


def test_an_event_tells_the_processing_time_where_it_was_measured(reporting):
    (event,) = sent(reporting("dropped", timing_sample=1), PING)
    assert 0 < event["processing_ns"] < 10**9


def test_events_come_oldest_first_from_all_cpus(reporting):
    filter_, cpus = reporting("all_icmp"), sorted(os.sched_getaffinity(0))

    def action():
        try:
            for number in range(20):
                os.sched_setaffinity(0, {cpus[number % len(cpus)]})
                filter_.send(bytes(ping(src=f"10.0.0.{number}")))
        finally:
            os.sched_setaffinity(0, cpus)

    found = heard(filter_.host, 20, action)
    assert [event["src"] for event in found] == [f"10.0.0.{number}" for number in range(20)]
    assert [event["time"] for event in found] == sorted(event["time"] for event in found)


def test_nothing_is_reported_while_nobody_listens(reporting):
    filter_ = reporting("trace")
    before = filter_.told()["events"]
    filter_.repeat(PING, 100)
    assert filter_.told()["events"] == before


def test_what_is_above_the_budget_is_counted_and_not_sent(host):
    filter_ = host.filter(DROP_PING, events="dropped", events_per_second=3)
    host.set_lists()
    found = heard(host, 3, lambda: filter_.repeat(PING, 10))
    assert len(found) == 3
    assert filter_.told()["events"] == {"sent": 3, "suppressed": 7, "lost": 0}


def test_what_finds_the_buffer_full_is_counted_as_lost(reporting):
    filter_, times = reporting("dropped", Options(policy="drop", protect=False)), 20_000
    with control_map(filter_.host) as opened:
        opened.listening = True  # without reading
        try:
            filter_.repeat(PING, times)
        finally:
            opened.listening = False
    told = filter_.told()["events"]
    assert told["lost"] > 0
    assert told["sent"] + told["lost"] == times
    (event,) = sent(filter_, bytes(ping(src=STRANGER)))  # older events in the buffer are left out
    assert event["src"] == STRANGER


def test_a_listener_hears_all_of_more_than_the_buffer_holds_at_once(reporting):
    filter_, rounds, times = reporting("dropped"), 6, 4000

    def action():
        for _round in range(rounds):
            before = filter_.told()["events"]["sent"]
            filter_.repeat(PING, times)
            assert filter_.told()["events"]["sent"] == before + times
            with contextlib.closing(
                ring_buffer.RingBuffer(filter_.host.pins.open_map(filter_.host.pins.host_pin("events")))
            ) as ring:
                wait_until(lambda ring=ring: ring._consumed[0] == ring._produced[0], "the listener does not read")

    found = heard(filter_.host, rounds * times, action)
    assert len(found) == rounds * times
    assert {event["src"] for event in found} == {SOURCE}


def test_listening_ends_with_its_time_and_says_what_came(reporting):
    host = reporting("dropped").host
    assert events.listen(host.base, 0.05, 10) == {
        "changed": False,
        "events": [],
        "count": 0,
        "suppressed": 0,
        "lost": 0,
    }
    with control_map(host) as opened:
        assert not opened.listening


def test_listening_where_nothing_reports_is_refused(live_host):
    with pytest.raises(PingKillerError, match="^no filter on this host reports events: set events of xdp_filter"):
        events.listen(live_host.base, 1, 1)


def test_listening_where_only_the_pin_of_the_events_is_left_is_refused(live_host):
    live_host.pins.prepare()
    live_host.pins.ensure(live_host.pins.host_pin("events"), schema.EVENTS_MAP).close()
    with pytest.raises(PingKillerError, match="^no filter on this host reports events: set events of xdp_filter"):
        events.listen(live_host.base, 1, 1)


@pytest.mark.parametrize(("duration", "limit"), [(0, 1), (-1, 1), (1, 0)])
def test_listening_for_nothing_is_refused(host, duration, limit):
    with pytest.raises(PingKillerError, match="leave nothing to listen to: give both above 0$"):
        events.listen(host.base, duration, limit)
