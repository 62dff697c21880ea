# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filter must do with a frame, said a second time.

This is the reference the loaded program is compared with. It is written from the
promises alone and shares no line, constant or idea with the C: a mistake would have
to be made twice, in two languages, to go unnoticed. It is slow and plain on purpose.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

EVERY_TYPE = frozenset((family, number) for family in ("ipv4", "ipv6") for number in range(256))
ECHO_REQUEST = frozenset({("ipv4", 8), ("ipv6", 128)})

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
VLAN_TAGS = (0x8100, 0x88A8)
MOST_VLAN_TAGS = 2

ICMP = 1
ICMPV6 = 58
ICMP_HEADER = 8

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
MOBILITY, HOST_IDENTITY, SHIM6 = 135, 139, 140
EXTENSION_HEADERS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HOST_IDENTITY, SHIM6)
MOST_EXTENSION_HEADERS = 8
SHORTEST_EXTENSION_HEADER = 8

FRAGMENTATION_NEEDED = (3, 4)
# Packet too big, router and neighbour solicitation and advertisement, redirect, and multicast listener discovery.
PROTECTED_ICMPV6 = frozenset({2, 133, 134, 135, 136, 137, 130, 131, 132, 143})


class Options(NamedTuple):
    """How one program was compiled."""

    policy: str = "pass"
    icmp_types: frozenset[tuple[str, int]] = ECHO_REQUEST
    protect: bool = True
    monitor: bool = False


class Entry(NamedTuple):
    """One line of a list: an address or network as text, and the side it applies to."""

    ip: str
    direction: str = "src"


class Parsed(NamedTuple):
    """What can be read from a frame; `type` is None where there is no ICMP header to read (a later fragment)."""

    family: str
    problem: str | None = None  # not_icmp, malformed, or None for ICMP
    type: int | None = None
    code: int | None = None
    source: int = 0
    destination: int = 0


class Outcome(NamedTuple):
    """The one verdict and the one reason of a frame, and what they change."""

    verdict: str
    reason: str
    family: str
    action: str  # what the kernel is told: in monitor mode always pass
    size: int
    credited: tuple[str, Entry] | None = None  # (list name, entry)

    @property
    def changes(self) -> dict:
        """Every counter that moves, by name, and by how much: (packets, bytes)."""
        moved = {("reason", self.reason, self.family): (1, self.size)}
        if self.credited:
            name, entry = self.credited
            moved["entry", name, entry.ip] = (1, self.size)
        return moved


class Lists:
    """The allowlist and blocklist, as networks ready to be compared."""

    def __init__(self, blocklist=(), allowlist=()):
        self.blocklist = [_as_listed(entry) for entry in blocklist]
        self.allowlist = [_as_listed(entry) for entry in allowlist]

    def find(self, name: str, parsed: Parsed) -> tuple[str, Entry] | None:
        """The entry of list `name` that decides this packet: the source is looked at before the destination."""
        for side, address in (("src", parsed.source), ("dst", parsed.destination)):
            matches = [
                (prefix, entry)
                for entry, family, network, prefix, width in getattr(self, name)
                if family == parsed.family
                and entry.direction in (side, "both")
                and network >> (width - prefix) == address >> (width - prefix)
            ]
            if matches:
                # An exact address is the longest prefix there is, so the longest match is also "exact before network".
                return name, max(matches)[1]
        return None


def decide(frame: bytes, options: Options, lists: Lists | None = None) -> Outcome:
    """The outcome of one frame: the rows of the decision table, top to bottom."""
    parsed = parse(frame)
    verdict, reason, credited = _verdict(parsed, options, lists or Lists())
    action = "pass" if options.monitor else verdict
    return Outcome(verdict, reason, parsed.family, action, len(frame), credited)


def _verdict(parsed: Parsed, options: Options, lists: Lists):
    if parsed.problem:
        return "pass", parsed.problem, None
    if options.protect and _is_protected(parsed):
        return "pass", "protected", None
    allowed = lists.find("allowlist", parsed)
    if allowed:
        return "pass", "allowlist", allowed
    blocked = lists.find("blocklist", parsed)
    if blocked:
        return "drop", "blocklist", blocked
    if parsed.type is not None and (parsed.family, parsed.type) not in options.icmp_types:
        return "pass", "type", None
    # A limit on the rate of a source belongs here: after the type, before the policy.
    return options.policy, "policy_" + options.policy, None


def _is_protected(parsed: Parsed) -> bool:
    if parsed.family == "ipv4":
        return (parsed.type, parsed.code) == FRAGMENTATION_NEEDED
    return parsed.type in PROTECTED_ICMPV6


def parse(frame: bytes) -> Parsed:
    """Ethernet and up to two VLAN tags, then IPv4 or IPv6. Nothing but the frame's end bounds what is read."""
    if len(frame) < 14:
        return Parsed("other", "not_icmp")
    ethertype, position = _u16(frame, 12), 14
    for _tag in range(MOST_VLAN_TAGS):
        if ethertype not in VLAN_TAGS:
            break
        if len(frame) < position + 4:
            return Parsed("other", "not_icmp")
        ethertype, position = _u16(frame, position + 2), position + 4

    header = frame[position:]
    if ethertype == ETHERTYPE_IPV4 and len(header) >= 20 and header[0] >> 4 == 4:
        return _parse_ipv4(header)
    if ethertype == ETHERTYPE_IPV6 and len(header) >= 40 and header[0] >> 4 == 6:
        return _parse_ipv6(header)
    return Parsed("other", "not_icmp")


def _parse_ipv4(header: bytes) -> Parsed:
    if header[9] != ICMP:
        return Parsed("ipv4", "not_icmp")
    length = (header[0] & 0x0F) * 4
    if length < 20 or length > len(header):
        return Parsed("ipv4", "malformed")
    source, destination = struct.unpack_from("!II", header, 12)
    fragment_offset = _u16(header, 6) & 0x1FFF
    if fragment_offset:
        return Parsed("ipv4", source=source, destination=destination)
    return _parse_icmp("ipv4", header[length:], source, destination)


def _parse_ipv6(header: bytes) -> Parsed:
    source, destination = int.from_bytes(header[8:24], "big"), int.from_bytes(header[24:40], "big")
    kind, rest = header[6], header[40:]
    walked = 0
    while kind in EXTENSION_HEADERS:
        walked += 1
        if walked > MOST_EXTENSION_HEADERS or len(rest) < SHORTEST_EXTENSION_HEADER:
            return Parsed("ipv6", "malformed")
        length = _extension_length(kind, rest)
        if length > len(rest):
            return Parsed("ipv6", "malformed")
        later_fragment = kind == FRAGMENT and _u16(rest, 2) >> 3
        kind, rest = rest[0], rest[length:]
        if later_fragment:
            # What follows is the middle of something: only the header's own word for it can be believed.
            problem = None if kind == ICMPV6 else "not_icmp"
            return Parsed("ipv6", problem, source=source, destination=destination)
    if kind != ICMPV6:
        return Parsed("ipv6", "not_icmp")
    return _parse_icmp("ipv6", rest, source, destination)


def _extension_length(kind: int, header: bytes) -> int:
    if kind == FRAGMENT:
        return 8  # has no length field
    if kind == AUTHENTICATION:
        return (header[1] + 2) * 4
    return (header[1] + 1) * 8


def _parse_icmp(family: str, header: bytes, source: int, destination: int) -> Parsed:
    if len(header) < ICMP_HEADER:
        return Parsed(family, "malformed")
    return Parsed(family, None, header[0], header[1], source, destination)


def _as_listed(entry: Entry):
    """(entry in its shortest spelling, family, network as a number, prefix length, width of an address)."""
    network = ipaddress.ip_network(entry.ip)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen == 128:
        network = ipaddress.ip_network(mapped)
    exact = network.prefixlen == network.max_prefixlen
    entry = entry._replace(ip=str(network.network_address if exact else network))
    return entry, f"ipv{network.version}", int(network.network_address), network.prefixlen, network.max_prefixlen


def _u16(data: bytes, position: int) -> int:
    return struct.unpack_from("!H", data, position)[0]
