# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that are measured, and the addresses on the lists."""

from __future__ import annotations

import struct
from typing import NamedTuple

from scapy.all import ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, IPv6

FIRST4 = 0x0A000000  # 10.0.0.0: the first listed address; every seventh address is listed
FIRST6 = "2001:db8::1"
STRANGER, STRANGER6, HERE, HERE6 = "203.0.113.9", "2001:db8:9::9", "192.0.2.1", "2001:db8:1::1"
LINK = Ether(src="02:00:00:00:00:07", dst="02:00:00:00:00:01")
SMALLEST = 60  # bytes of an Ethernet frame, without the checksum


class Case(NamedTuple):
    """A kind of packet, and the variant of our filter that gets it."""

    frame: bytes
    variant: str = "default"
    draw: str = ""  #: the set of sources that replace the frame's own source, a new one for each packet


def listed(count: int) -> list[int]:
    """Return the first ``count`` listed IPv4 addresses, in host byte order."""
    return [FIRST4 + 7 * number for number in range(count)]


def list_file(count: int) -> str:
    """Return the list as a file for the module. Every list also has one IPv6 address."""
    return "".join(f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n" for n in listed(count)) + FIRST6 + "\n"


def _bytes(packet) -> bytes:
    return bytes(packet).ljust(SMALLEST, b"\0")


def _ipv4(source: str = STRANGER, tag: bool = False):
    link = LINK / Dot1Q(vlan=5) if tag else LINK
    return link / IP(src=source, dst=HERE)


def _ipv6(source: str = STRANGER6):
    return LINK / IPv6(src=source, dst=HERE6)


def cases() -> dict[str, Case]:
    """Return the cases by their names in the tables."""
    first = ".".join(map(str, struct.pack(">I", FIRST4)))
    icmp, icmp6 = _bytes(_ipv4() / ICMP()), _bytes(_ipv6() / ICMPv6EchoRequest())
    return {
        "TCP": Case(_bytes(_ipv4() / TCP())),
        "UDP": Case(_bytes(_ipv4() / UDP())),
        "TCP, IPv6": Case(_bytes(_ipv6() / TCP())),
        "TCP, VLAN": Case(_bytes(_ipv4(tag=True) / TCP())),
        "ICMP, not listed": Case(icmp),
        "ICMP, not listed, any source": Case(icmp, draw="unlisted"),
        "ICMP, listed": Case(_bytes(_ipv4(first) / ICMP())),
        "ICMP, listed, any source": Case(icmp, draw="listed"),
        "ICMP, listed, VLAN": Case(_bytes(_ipv4(first, tag=True) / ICMP())),
        "ICMPv6, not listed": Case(icmp6),
        "ICMPv6, listed": Case(_bytes(_ipv6(FIRST6) / ICMPv6EchoRequest())),
        "ICMP, policy drop": Case(icmp, "policy"),
        "ICMP, below the rate limit": Case(icmp, "below"),
        "ICMP, over the rate limit": Case(icmp, "over"),
    }
