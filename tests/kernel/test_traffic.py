# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real pings and connections through a veth pair with the filter on one end, in native and in generic mode."""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from model import EVERY_TYPE, Entry, Options
from network import FAMILIES, PATIENCE, Root, Stream, far_end, talk_tcp, talk_udp, wait_until
from scapy.all import ARP, ICMP, IP, Ether, ICMPv6EchoRequest, IPv6

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.parametrize("mode", ["native", "generic"]),
]

DROP_PING = Options(policy="drop")
DROP_ALL = Options(policy="drop", icmp_types=EVERY_TYPE)
UNPROTECTED = DROP_ALL._replace(protect=False)
EVERYBODY = (Entry("0.0.0.0/0", "both"), Entry("::/0", "both"))

# Socket options of Linux. Python's socket module does not have all of them.
MTU_DISCOVER = {"ipv4": (socket.IPPROTO_IP, 10), "ipv6": (socket.IPPROTO_IPV6, 23)}
DO_DISCOVER = 2
PATH_MTU = {"ipv4": (socket.IPPROTO_IP, 14), "ipv6": (socket.IPPROTO_IPV6, 24)}


def count(filter_, reason, family):
    """Return the number of packets that the filter counted."""
    return filter_.reasons()["reason", reason, family][0]


def entries(addresses, direction="src"):
    """Return one entry for the address of each family."""
    return tuple(Entry(address, direction) for address in addresses.values())


def pings(namespace, target, source, expected, *more):
    """Return the families that are answered. All or none of them are expected to be."""
    return [family for family in FAMILIES if namespace.ping(target[family], source[family], expected, *more)]


def test_a_listed_source_gets_no_answer_and_others_do(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, Options(), mode)
    live_host.set_lists(blocklist=entries(cable.listed))
    assert pings(cable.inside, cable.filtered, cable.unlisted, True) == ["ipv4", "ipv6"]
    assert pings(cable.inside, cable.filtered, cable.listed, False) == []
    assert [count(filter_, "blocklist", family) for family in FAMILIES] == [1, 1]


def test_listing_and_unlisting_take_effect_while_the_filter_runs(live_host, cable, mode):
    live_host.attach(cable.interface, Options(), mode)
    networks = {
        family: str(ipaddress.ip_network((cable.listed[family], length), strict=False))
        for family, length in (("ipv4", 28), ("ipv6", 64))
    }
    for listed, answered in (({}, True), (cable.listed, False), ({}, True), (networks, False), ({}, True)):
        live_host.set_lists(blocklist=entries(listed))
        assert pings(cable.inside, cable.filtered, cable.listed, answered) == (list(FAMILIES) if answered else [])


def test_a_listed_destination_answers_nobody(live_host, cable, mode):
    live_host.attach(cable.interface, Options(), mode)
    live_host.set_lists(blocklist=entries(cable.filtered, "dst"))
    assert pings(cable.inside, cable.filtered, cable.unlisted, False) == []


def test_an_allowed_source_is_answered_under_policy_drop(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, DROP_ALL, mode)
    live_host.set_lists(blocklist=EVERYBODY, allowlist=entries(cable.listed))
    assert pings(cable.inside, cable.filtered, cable.listed, True) == ["ipv4", "ipv6"]
    assert pings(cable.inside, cable.filtered, cable.unlisted, False) == []
    assert [count(filter_, "allowlist", family) for family in FAMILIES] == [1, 1]


def test_the_host_itself_can_ping_under_policy_drop(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, DROP_PING, mode)
    assert pings(Root, cable.unlisted, cable.filtered, True) == ["ipv4", "ipv6"]
    assert pings(cable.inside, cable.filtered, cable.unlisted, False) == []
    assert [count(filter_, "policy_drop", family) for family in FAMILIES] == [1, 1]


def test_monitor_mode_counts_but_answers(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, DROP_ALL._replace(monitor=True), mode)
    live_host.set_lists(blocklist=entries(cable.listed))
    assert pings(cable.inside, cable.filtered, cable.listed, True) == ["ipv4", "ipv6"]
    assert pings(cable.inside, cable.filtered, cable.unlisted, True) == ["ipv4", "ipv6"]
    for reason in ("blocklist", "policy_drop"):
        assert [count(filter_, f"would_drop.{reason}", family) for family in FAMILIES] == [1, 1]


def test_tcp_and_udp_are_never_hurt(live_host, cable, mode):
    live_host.attach(cable.interface, DROP_ALL, mode)
    live_host.set_lists(blocklist=(*EVERYBODY, *entries(cable.listed, "both")))
    assert pings(cable.inside, cable.filtered, cable.listed, False) == []
    for family in FAMILIES:
        here, there = cable.filtered[family], cable.listed[family]
        for talk in (talk_tcp, talk_udp):
            assert talk(Root, here, cable.inside, there, family)
            assert talk(cable.inside, there, Root, here, family)


def test_arp_is_never_hurt(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, UNPROTECTED, mode)
    live_host.set_lists(blocklist=EVERYBODY)
    question = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=cable.listed["ipv4"], pdst=cable.filtered["ipv4"])
    with cable.inside.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as wire:
        wire.bind(("pk0", 0x0806))
        wire.settimeout(PATIENCE)
        wire.send(bytes(question))
        answer = Ether(wire.recv(2000))[ARP]
    assert (answer.op, answer.psrc) == (2, cable.filtered["ipv4"])
    assert count(filter_, "not_icmp", "other") >= 1


def test_neighbour_discovery_passes_under_policy_drop(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, DROP_ALL, mode)
    live_host.set_lists(blocklist=EVERYBODY)
    here, there = cable.filtered["ipv6"], cable.listed["ipv6"]
    for ends in ((Root, here, cable.inside, there), (cable.inside, there, Root, here)):
        Root.run("ip", "-6", "neigh", "flush", "dev", cable.interface)
        cable.inside.run("ip", "-6", "neigh", "flush", "dev", "pk0")
        assert talk_tcp(*ends, "ipv6", size=1)
    assert count(filter_, "protected", "ipv6") >= 2


def test_without_protection_neighbour_discovery_does_not_pass(live_host, cable, mode):
    """Check that the test above would fail without protection."""
    filter_ = live_host.attach(cable.interface, UNPROTECTED, mode)
    with cable.inside.socket(socket.AF_INET6, socket.SOCK_DGRAM) as lost:
        lost.sendto(b"anybody there?", (cable.filtered["ipv6"], 9))
        wait_until(lambda: count(filter_, "policy_drop", "ipv6") >= 2, "no two solicitations were dropped")
        neighbours = cable.inside.run("ip", "-6", "neigh", "show", cable.filtered["ipv6"]).stdout
    assert "lladdr" not in neighbours


@pytest.mark.parametrize("family", FAMILIES)
def test_path_mtu_discovery_works_under_policy_drop(live_host, cable, mode, family):
    filter_ = live_host.attach(cable.interface, DROP_ALL, mode)
    live_host.set_lists(blocklist=EVERYBODY)
    with far_end(cable, mtu=1400) as (far, addresses):
        assert talk_tcp(far, addresses[family], Root, cable.filtered[family], family)
        with probing_socket(family, addresses[family]) as probe:
            wait_until(lambda: send(probe, 1440) and path_mtu(probe, family) == 1400, "the path's limit is not learnt")
    assert count(filter_, "protected", family) >= 1


def test_without_protection_path_mtu_discovery_does_not_work(live_host, cable, mode):
    """Check that the test above would fail without protection."""
    filter_ = live_host.attach(cable.interface, UNPROTECTED, mode)
    with far_end(cable, mtu=1400) as (_far, addresses), probing_socket("ipv4", addresses["ipv4"]) as probe:
        wait_until(lambda: send(probe, 1440) and count(filter_, "policy_drop", "ipv4"), "the router never complained")
        assert path_mtu(probe, "ipv4") == 1500


def probing_socket(family, address):
    """Return a UDP socket to `address` that never fragments."""
    probe = socket.socket(FAMILIES[family], socket.SOCK_DGRAM)
    probe.setsockopt(*MTU_DISCOVER[family], DO_DISCOVER)
    probe.connect((address, 9))
    return probe


def path_mtu(probe, family):
    return probe.getsockopt(*PATH_MTU[family])


def send(probe, size):
    """Send a datagram. Ignore errors that earlier datagrams caused."""
    with suppress(OSError):
        probe.send(bytes(size))
    return True


def test_every_fragment_of_a_big_ping_is_decided_and_counted(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, DROP_PING, mode)
    live_host.set_lists(blocklist=entries(cable.listed), allowlist=entries(cable.unlisted))
    # 4000 bytes take three frames.
    assert pings(cable.inside, cable.filtered, cable.listed, False, "-s", "4000") == []
    assert pings(cable.inside, cable.filtered, cable.unlisted, True, "-s", "4000") == ["ipv4", "ipv6"]
    for family in FAMILIES:
        assert [count(filter_, reason, family) for reason in ("blocklist", "allowlist")] == [3, 3]


def test_what_was_sent_is_what_is_counted(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, Options(), mode)
    live_host.set_lists(blocklist=entries(cable.listed))
    # All at once, because ping would otherwise wait for each answer.
    pings(cable.inside, cable.filtered, cable.listed, False, "-c", "200", "-l", "200", "-s", "100")
    expected = {}
    for family, headers in (("ipv4", 14 + 20 + 8), ("ipv6", 14 + 40 + 8)):
        counted = (200, 200 * (100 + headers))
        expected["reason", "blocklist", family] = expected["entry", "blocklist", cable.listed[family]] = counted
    for told in (filter_.counters(), filter_.facts()):
        assert {key: told[key] for key in expected} == expected


def test_no_ping_slips_through_while_options_and_lists_change(live_host, cable, mode):
    filter_ = live_host.attach(cable.interface, Options(), mode)
    listed = entries(cable.listed)
    live_host.set_lists(blocklist=listed)
    with Stream(cable, echo_requests(cable), lambda: blocked(filter_)) as stream:
        for number, options in enumerate((DROP_PING, DROP_ALL, Options(protect=False), Options())):
            live_host.attach(cable.interface, options, mode)
            live_host.set_lists(blocklist=(Entry(f"203.0.113.{number}"), Entry(f"2001:db8::{number}"), *listed))
            live_host.set_lists(blocklist=listed, allowlist=(Entry("203.0.113.0/24"),))
    assert stream.sent >= 1000, "too few to show anything"
    assert (stream.answers, blocked(filter_)) == (0, stream.sent)
    assert sum(packets for packets, _bytes in live_host.entries().values()) == stream.sent


def blocked(filter_):
    return sum(count(filter_, "blocklist", family) for family in FAMILIES)


def echo_requests(cable):
    """Return one ping of each family from a listed address, as frames."""
    link = Ether(dst=Path(f"/sys/class/net/{cable.interface}/address").read_text().strip(), src="02:00:00:00:00:07")
    here, there = cable.filtered, cable.listed
    return [
        bytes(link / IP(src=there["ipv4"], dst=here["ipv4"]) / ICMP()),
        bytes(link / IPv6(src=there["ipv6"], dst=here["ipv6"]) / ICMPv6EchoRequest()),
    ]


def test_after_removal_everybody_is_answered_and_nothing_is_left(live_host, cable, mode):
    live_host.attach(cable.interface, DROP_ALL, mode)
    live_host.set_lists(blocklist=EVERYBODY)
    assert pings(cable.inside, cable.filtered, cable.listed, False) == []
    live_host.remove()
    assert pings(cable.inside, cable.filtered, cable.listed, True) == ["ipv4", "ipv6"]
    assert "xdp" not in Root.run("ip", "link", "show", cable.interface).stdout
    assert not os.path.exists(live_host.base)
