# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames for the tests: the first layers of every row, and a readable form of a frame for failures."""

from __future__ import annotations

import struct
import warnings

from scapy import all as scapy_names
from scapy.all import ICMP, IP, Ether, ICMPv6EchoRequest, IPv6, Raw, hexdump

SOURCE, DESTINATION, STRANGER = "198.51.100.7", "192.0.2.1", "203.0.113.9"
SOURCE6, DESTINATION6, STRANGER6 = "2001:db8:1::7", "2001:db8:2::1", "2001:db8:3::9"

# Fixed addresses, because scapy would otherwise look them up in the routes of this machine.
LINK = Ether(src="02:00:00:00:00:07", dst="02:00:00:00:00:01")


def ip(**fields):
    """Ethernet and IPv4 from SOURCE to DESTINATION; `fields` are those of scapy's IP."""
    return LINK / IP(**{"src": SOURCE, "dst": DESTINATION, **fields})


def ip6(**fields):
    """Ethernet and IPv6 from SOURCE6 to DESTINATION6; `fields` are those of scapy's IPv6."""
    return LINK / IPv6(**{"src": SOURCE6, "dst": DESTINATION6, **fields})


def icmp6(number, code=0, **fields):
    """An ICMPv6 message of any type and code (scapy builds half a header for the types it does not know)."""
    return ip6(nh=58, **fields) / Raw(bytes([number, code]) + bytes(6))


def typed(ethertype):
    """An Ethernet header with this `ethertype`, whatever follows."""
    return Ether(src=LINK.src, dst=LINK.dst, type=ethertype)


def ping(**fields):
    return ip(**fields) / ICMP()


def ping6(**fields):
    return ip6(**fields) / ICMPv6EchoRequest()


ICMP6_ECHO = bytes(ping6())[14 + 40 :]


def chain(kinds, last=58, payload=ICMP6_ECHO, words=0):
    """Ethernet, IPv6, the extension headers `kinds` (each `words` units longer than the shortest), payload.

    Built from bytes, because scapy has no layer for half of these headers and does not build wrong ones.
    """
    headers = b""
    for kind, following in zip(kinds, [*kinds[1:], last]):
        headers += extension(kind, following, words)
    return ip6(nh=kinds[0] if kinds else last) / Raw(headers + payload)


def extension(kind, following, words=0):
    """One extension header of eight bytes, plus `words` units of its length field."""
    if kind == 44:
        return fragment(following)
    unit = 4 if kind == 51 else 8
    return bytes([following, words]) + bytes(6 + unit * words)


def fragment(following, offset=0, more=False):
    """A fragment header; `offset` in units of eight bytes."""
    return struct.pack("!BBHI", following, 0, offset << 3 | int(more), 0x1234)


def scapy_expression(frame: bytes) -> str:
    """Return a scapy expression that builds exactly these bytes: from layers if scapy can, else from hexadecimal."""
    plain = f"Ether(bytes.fromhex('{frame.hex()}'))"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expression = Ether(frame).command()
            rebuilt = bytes(eval(expression, vars(scapy_names)))
    except Exception:  # errors of scapy's dissectors on mangled frames are not tested here
        return plain
    return expression if rebuilt == frame else plain


def describe(frame: bytes) -> str:
    """Return the text that a failing test shows for a frame."""
    return f"{scapy_expression(frame)}\n{hexdump(frame, dump=True)}"
