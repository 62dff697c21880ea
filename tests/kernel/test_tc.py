# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real pings through a filter on tc: on ingress, on egress, and together with other classifiers."""

from __future__ import annotations

import socket
import struct

import pytest
from harness import Host
from model import Entry, Options
from network import FAMILIES, Root, run, wait_until
from packets import SOURCE, ping
from scapy.all import IP, Dot1Q, Ether, Raw

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters import remove
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.request import RemovalRequest
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import netlink, tc

pytestmark = pytest.mark.kernel

DROP_PING = Options(policy="drop")


def answered(namespace, target, source, expected):
    return [family for family in FAMILIES if namespace.ping(target[family], source[family], expected)]


def dropped(filter_):
    return [filter_.reasons()["reason", "policy_drop", family][0] for family in FAMILIES]


def test_a_filter_on_the_way_in_drops_what_comes_in(live_host, cable):
    filter_ = live_host.attach(cable.interface, DROP_PING, hook="tc_ingress")
    assert answered(cable.inside, cable.filtered, cable.unlisted, False) == []
    assert dropped(filter_) == [1, 1]
    assert answered(Root, cable.unlisted, cable.filtered, True) == list(FAMILIES)


def test_a_filter_on_the_way_out_drops_what_goes_out(live_host, cable):
    filter_ = live_host.attach(cable.interface, DROP_PING, hook="tc_egress")
    assert answered(cable.inside, cable.filtered, cable.unlisted, True) == list(FAMILIES)
    done = [Root.run("ping", "-n", "-c1", "-W0.3", cable.unlisted[family], check=False) for family in FAMILIES]
    assert all(each.returncode for each in done)
    assert [number > 0 for number in dropped(filter_)] == [True, True]


def test_the_lists_hold_on_every_hook_of_an_interface(live_host, cable):
    counted = [live_host.attach(cable.interface, Options(), hook=hook) for hook in ("xdp", "tc_ingress", "tc_egress")]
    live_host.set_lists(blocklist=[Entry(address, "dst") for address in cable.listed.values()])
    # The echo request comes in, but the reply to a listed destination does not go out.
    assert answered(cable.inside, cable.filtered, cable.listed, False) == []
    assert answered(cable.inside, cable.filtered, cable.unlisted, True) == list(FAMILIES)
    blocked = [filter_.reasons()["reason", "blocklist", "ipv4"][0] for filter_ in counted]
    assert blocked == [0, 0, 1]


@pytest.mark.parametrize("hook", ["tc_ingress", "tc_egress"])
def test_somebody_elses_classifier_stays_through_all_that_is_done_with_ours(live_host, cable, hook):
    index = netlink.link(cable.interface).ifindex

    def there():
        return [each.program_id for each in tc.classifiers(index, hook)]

    with Host() as somebody:  # another base directory, so not ours
        somebody.attach(cable.interface, Options(), hook=hook)
        (theirs,) = there()
        filter_ = live_host.attach(cable.interface, DROP_PING, hook=hook)
        first = set(there()) - {theirs}
        live_host.attach(cable.interface, Options(), hook=hook)
        second = set(there()) - {theirs}
        assert len(first) == len(second) == 1
        assert first != second
        remove.absent(live_host.base, RemovalRequest((filter_.name,)))
        assert there() == [theirs]
    assert there() == []


@pytest.mark.parametrize("hook", ["tc_ingress", "tc_egress"])
def test_nothing_is_left_of_a_filter_that_goes(live_host, cable, hook):
    live_host.attach(cable.interface, DROP_PING, hook=hook)
    assert "clsact" in run("tc", "qdisc", "show", "dev", cable.interface).stdout
    remove.absent(live_host.base, RemovalRequest(None))
    assert "clsact" not in run("tc", "qdisc", "show", "dev", cable.interface).stdout
    assert answered(cable.inside, cable.filtered, cable.unlisted, True) == list(FAMILIES)


@pytest.mark.parametrize("order", [("tc_ingress", "tc_egress"), ("tc_egress", "tc_ingress")])
def test_the_last_filter_of_an_interface_takes_the_queueing_discipline_along(live_host, cable, order):
    names = [live_host.attach(cable.interface, DROP_PING, hook=hook).name for hook in order]
    remove.absent(live_host.base, RemovalRequest((names[0],)))
    assert "clsact" in run("tc", "qdisc", "show", "dev", cable.interface).stdout
    remove.absent(live_host.base, RemovalRequest((names[1],)))
    assert "clsact" not in run("tc", "qdisc", "show", "dev", cable.interface).stdout


def emit(cable, frame, linear=None):
    """Send a frame from the inside. If it is larger than a page, `linear` can shorten the linear part of the buffer."""
    header_of_virtio = struct.pack("=BBHHHH", 0, 0, linear or len(frame), 0, 0, 0)
    with cable.inside.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        wire.bind(("pk0", 0))
        wire.send(header_of_virtio + frame)


def test_headers_outside_of_the_linear_part_are_read(live_host, cable):
    for namespace, link in ((Root, cable.interface), (cable.inside, "pk0")):
        namespace.run("ip", "link", "set", link, "mtu", "9000")
    filter_ = live_host.attach(cable.interface, Options(), hook="tc_ingress")
    live_host.set_lists(blocklist=(Entry(SOURCE),))
    frame = bytes(ping() / Raw(bytes(6000)))
    for linear in (14, 20, 34, 41):
        before = filter_.reasons()["reason", "blocklist", "ipv4"][0]
        emit(cable, frame, linear)
        wait_until(
            lambda before=before: filter_.reasons()["reason", "blocklist", "ipv4"][0] == before + 1,
            f"the frame of which {linear} bytes are in the linear part was not read",
        )


def test_a_tag_that_the_kernel_has_taken_off_is_told(live_host, cable):
    """Test the outer tag, which the kernel removes from arriving frames before tc sees them."""
    filter_ = live_host.attach(cable.interface, DROP_PING, hook="tc_ingress", events="dropped")
    live_host.set_lists()
    told = []
    with live_host.listening():
        for tags in (Dot1Q(vlan=100, prio=7), Dot1Q(vlan=7, prio=7) / Dot1Q(vlan=8)):
            emit(cable, bytes(Ether(src="02:00:00:00:00:07", dst="02:00:00:00:00:01") / tags / ping()[IP]))
            wait_until(lambda: told.extend(live_host.heard()) or told, "the frame was not reported")
            assert [(event["vlan"], event["reason"]) for event in told] == [(tags.vlan, "policy_drop")]
            told.clear()
    assert filter_.reasons()["reason", "policy_drop", "ipv4"][0] == 2
