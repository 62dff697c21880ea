# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cached lookups of a CPU are never used after a list change, and never for another address."""

from __future__ import annotations

import itertools
import socket
import struct
from contextlib import contextmanager

import pytest
from model import Entry, Options
from packets import DESTINATION, SOURCE, SOURCE6, ping, ping6

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf, schema

pytestmark = pytest.mark.kernel

OTHER, OTHER6 = "203.0.113.77", "2001:db8:7::77"
CASES = {
    "address": (SOURCE, OTHER, ping),
    "network": ("198.51.100.0/24", "203.0.113.0/24", ping),
    "ipv6 address": (SOURCE6, OTHER6, ping6),
    "ipv6 network": ("2001:db8:1::/48", "2001:db8:7::/48", ping6),
}


@pytest.fixture
def drops(host):
    """Return a function that tells whether a frame is dropped. It sends the frame twice, to use the cache once."""
    filter_ = host.filter(Options())
    host.set_lists()

    def dropped(packet):
        frame = bytes(packet)
        actions = {filter_.send(frame).action, filter_.send(frame).action}
        assert len(actions) == 1, "the second packet fared otherwise than the first"
        return actions == {"drop"}

    yield dropped
    host.set_lists()


@pytest.mark.parametrize(("ip", "other", "packet"), CASES.values(), ids=CASES)
def test_each_packet_meets_the_lists_as_they_are(host, drops, ip, other, packet):
    frame = packet()
    entry, beside = Entry(ip), Entry(other)
    for blocked, allowed in (
        ((beside,), ()),
        ((beside, entry), ()),
        ((beside, entry), (entry,)),
        ((beside, entry), ()),
        ((beside,), (entry,)),
        ((beside,), ()),
        ((entry,), ()),
        ((), ()),
    ):
        host.set_lists(blocklist=blocked, allowlist=allowed)
        assert drops(frame) == (entry in blocked and entry not in allowed)


@pytest.mark.parametrize(("ip", "other", "packet"), CASES.values(), ids=CASES)
def test_an_entry_for_the_other_direction_is_found_after_its_address_was_a_source(host, drops, ip, other, packet):
    forth = packet()
    back = forth.copy()
    back.payload.src, back.payload.dst = forth.payload.dst, forth.payload.src
    for entry in (Entry(ip, "dst"), Entry(ip, "src"), Entry(ip, "both"), Entry(ip, "dst")):
        host.set_lists(blocklist=(entry, Entry(other)))
        assert drops(forth) == (entry.direction != "dst")
        assert drops(back) == (entry.direction != "src")
        assert drops(forth) == (entry.direction != "dst")


def line_number(address):
    """Return the cache line of an IPv4 address, computed as in bpf/listing.h."""
    (word,) = struct.unpack("=I", socket.inet_aton(address))
    return (word * 0x9E3779B1 & 0xFFFFFFFF) >> 22


def test_addresses_that_share_a_line_are_told_apart(host, drops):
    everybody = (f"192.0.{second}.{last}" for second, last in itertools.product(range(256), range(256)))
    blocked, free, *_more = [ip for ip in everybody if line_number(ip) == line_number("192.0.0.1")]
    host.set_lists(blocklist=(Entry(blocked),))
    for _again in range(3):
        assert drops(ping(src=blocked))
        assert not drops(ping(src=free))


def test_an_ipv6_address_is_not_taken_for_an_ipv4_address_of_the_same_bits(host, drops):
    twin = socket.inet_ntop(socket.AF_INET6, socket.inet_aton(SOURCE).ljust(16, b"\0"))
    for entry in (Entry(SOURCE), Entry(twin)):
        host.set_lists(blocklist=(entry, Entry(OTHER), Entry(OTHER6)))
        for _again in range(2):
            assert drops(ping()) == (entry.ip == SOURCE)
            assert drops(ping6(src=twin)) == (entry.ip == twin)


@contextmanager
def change_under_way(host):
    """Set the state that a killed list change leaves: marked as begun, without a new generation of the lists."""
    with bpf.Map.open(host.pins.host_pin("control")) as control, memoryview(control.memory()).cast("I") as words:
        words[1] |= 1
        yield
        words[1] = 0


def test_nothing_is_remembered_while_a_list_is_being_changed(host, drops):
    host.set_lists(blocklist=(Entry(OTHER),))
    key = socket.inet_aton(SOURCE)
    with bpf.Map.open(host.pins.list_pin(schema.BLOCKLIST, "exact4")) as index:
        slot = index.lookup(socket.inet_aton(OTHER))
        assert not drops(ping())
        with change_under_way(host):
            index.update(key, slot)
            assert drops(ping())
            index.delete(key)
            assert not drops(ping())
            index.update(key, slot)
            assert drops(ping())
            index.delete(key)
        assert not drops(ping())


def test_a_destination_on_no_list_is_let_through_between_listed_ones(host, drops):
    host.set_lists(blocklist=(Entry(DESTINATION, "dst"),), allowlist=(Entry(OTHER, "both"),))
    for _again in range(2):
        assert drops(ping())
        assert not drops(ping(dst="192.0.2.200"))
        assert not drops(ping(src=OTHER))
