# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second implementation of what the filter must do with a frame.

The tests compare the loaded program with this model. It is written from the documented behaviour alone, and shares no
line, constant or idea with the C code. So a mistake goes unnoticed only if it is made twice, in two languages. The
model is slow and simple on purpose.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

EVERY_TYPE = frozenset((family, number) for family in ("ipv4", "ipv6") for number in range(256))
ECHO_REQUEST = frozenset({("ipv4", 8), ("ipv6", 128)})

SECOND = 1_000_000_000

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
VLAN_TAGS = (0x8100, 0x88A8)
MOST_VLAN_TAGS = 16

ICMP = 1
ICMPV6 = 58
ICMP_HEADER = 8

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
MOBILITY, HOST_IDENTITY, SHIM6 = 135, 139, 140
EXTENSION_HEADERS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HOST_IDENTITY, SHIM6)
MOST_EXTENSION_HEADERS = 24
SHORTEST_EXTENSION_HEADER = 8

FRAGMENTATION_NEEDED = (3, 4)
PACKET_TOO_BIG, REDIRECT = 2, 137
NEIGHBOUR_DISCOVERY = frozenset({133, 134, 135, 136})  # router and neighbour solicitation and advertisement
LISTENER_DISCOVERY = frozenset({130, 131, 132, 143})  # multicast listener query, report, done, report of version 2
LINK_LOCAL = ipaddress.ip_network("fe80::/10")

# The content of a frame. Only a message has an ICMP type.
NOT_ICMP, MALFORMED, A_MESSAGE, LATER_FRAGMENT = "not_icmp", "malformed", "message", "later fragment"
# The filter cannot reach the last header, or not even the addresses. A kernel may reach them.
UNCLASSIFIED, TOO_MANY_TAGS = "unclassified", "too_many_tags"


class Options(NamedTuple):
    """The options that a program was compiled with."""

    policy: str = "pass"
    icmp_types: frozenset[tuple] = ECHO_REQUEST  # of (family, type) and (family, type, code)
    protect: bool = True
    monitor: bool = False
    ratelimit_pps: int = 0  # packets a second; 0: no limit
    ratelimit_block_time: int = 60  # seconds
    ratelimit_ipv6_prefix: int = 64
    timing_sample: int = 0  # 0: none, 1: every frame; the model supports no other samples
    events: str = "none"
    hook: str = "xdp"
    strict: bool = True
    protect_redirects: bool = False


class Entry(NamedTuple):
    """One line of a list: an address or network as text, the side on which it matches, and its expiry on each side.

    `until` has the expiry as a source and as a destination, in nanoseconds of the boot clock. None: no expiry.
    """

    ip: str
    direction: str = "src"
    until: tuple[int | None, int | None] = (None, None)


class Source(NamedTuple):
    """The state of a source in the rate limit. Times are nanoseconds of the boot clock."""

    window: int  # when the current one-second window began
    packets: int = 1  # in this window
    blocked_until: int = 0


class Parsed(NamedTuple):
    """The fields that the filter can read from a frame."""

    content: str
    family: str
    type: int | None = None
    code: int | None = None
    source: int = 0
    destination: int = 0
    protocol: int = 0
    vlan: int | None = None  # id in the outer tag
    hop_limit: int = 0  # only for IPv6


class Outcome(NamedTuple):
    """The verdict and the reason for a frame, and the counters that change."""

    verdict: str  # pass or drop; in monitor mode would_drop instead of drop
    reason: str
    family: str
    size: int
    credited: tuple[str, Entry] | None = None  # (list name, entry)
    timed: bool = False
    event: dict | None = None  # the report to a listener

    @property
    def action(self) -> str:
        """The action that the program returns to the kernel."""
        return "drop" if self.verdict == "drop" else "pass"

    @property
    def changes(self) -> dict:
        """Every counter that changes, by name, with its increase: (packets, bytes) or (packets,). Also the event."""
        moved = {("reason", counted_as(self.verdict, self.reason), self.family): (1, self.size)}
        if self.credited:
            name, entry = self.credited
            moved["entry", name, entry.ip] = (1, self.size)
        if self.timed:
            moved["timed", "dropped" if self.action == "drop" else "passed"] = (1,)
        if self.event:
            moved["events", "sent"] = (1,)
            moved["event", 0] = self.event
        return moved


def counted_as(verdict: str, reason: str) -> str:
    """Return the name under which a reason is counted."""
    return f"would_drop.{reason}" if verdict == "would_drop" else reason


class Lists:
    """The allowlist and the blocklist, converted to networks that can be compared."""

    def __init__(self, blocklist=(), allowlist=()):
        self.blocklist = [_as_listed(entry) for entry in blocklist]
        self.allowlist = [_as_listed(entry) for entry in allowlist]

    def find(self, name: str, parsed: Parsed, now: int) -> tuple[str, Entry] | None:
        """Return the entry of list `name` that decides this packet. The source is looked up before the destination."""
        for side, address in (("src", parsed.source), ("dst", parsed.destination)):
            matches = [
                (prefix, entry)
                for entry, family, network, prefix, width in getattr(self, name)
                if family == parsed.family
                and _holds(entry, side, now)
                and network >> (width - prefix) == address >> (width - prefix)
            ]
            if matches:
                # An exact address is the longest possible prefix, so the longest match is also "exact before network".
                return name, max(matches)[1]
        return None


def decide(
    frame: bytes, options: Options, lists: Lists | None = None, sources: dict[str, Source] | None = None, now: int = 0
) -> Outcome:
    """Return the outcome of one frame: the rows of the decision table, from top to bottom.

    `sources` is the state of the rate limit, which the frame may change. `now` is the boot clock.
    """
    parsed = parse(frame)
    verdict, reason, credited = _verdict(parsed, options, lists or Lists(), {} if sources is None else sources, now)
    outcome = Outcome(
        "would_drop" if options.monitor and verdict == "drop" else verdict,
        reason,
        parsed.family,
        size=len(frame),
        credited=credited,
        timed=options.timing_sample == 1,
    )
    return outcome._replace(event=_event(parsed, outcome, options))


def _verdict(parsed: Parsed, options: Options, lists: Lists, sources: dict, now: int):
    """Return the verdict, the reason, and the entry that decided or None."""
    at_once = _without_lists(parsed, options)
    if at_once:
        return *at_once, None
    for name, verdict in (("allowlist", "pass"), ("blocklist", "drop")):
        found = lists.find(name, parsed, now)
        if found:
            return verdict, name, found
    return *_of_nobody_listed(parsed, options, sources, now), None


def _without_lists(parsed: Parsed, options: Options) -> tuple[str, str] | None:
    if parsed.content in (NOT_ICMP, MALFORMED):
        return "pass", parsed.content
    if parsed.content in (UNCLASSIFIED, TOO_MANY_TAGS) and not options.strict:
        return "pass", "unclassified"
    if parsed.content == TOO_MANY_TAGS:
        return "drop", "too_many_tags"
    if options.protect and _is_protected(parsed, options):
        return "pass", "protected"
    return None


def _of_nobody_listed(parsed: Parsed, options: Options, sources: dict, now: int) -> tuple[str, str]:
    if not _is_filtered(parsed, options):
        return "pass", "type"
    counted = options.ratelimit_pps and parsed.content != LATER_FRAGMENT
    if counted and _is_over_limit(_source_name(parsed, options), options, sources, now):
        return "drop", "ratelimit"
    if parsed.content == UNCLASSIFIED and options.policy == "pass":
        return "pass", "unclassified"
    return options.policy, "policy_" + options.policy


def _is_filtered(parsed: Parsed, options: Options) -> bool:
    """Whether rate limit and policy apply. A frame that cannot be classified is treated as a filtered type."""
    if parsed.content == UNCLASSIFIED:
        return True
    if parsed.content == LATER_FRAGMENT:
        # Only the first fragment has the type. If all types are filtered, no later fragment needs to pass.
        return options.icmp_types >= EVERY_TYPE
    whole = (parsed.family, parsed.type, parsed.code)
    return whole in options.icmp_types or whole[:2] in options.icmp_types


def _is_over_limit(name: str, options: Options, sources: dict, now: int) -> bool:
    """Count a packet of this source, unless the source is blocked. Return whether it is over the limit."""
    source = sources.get(name)
    if source and now < source.blocked_until:
        return True
    if source is None or now >= source.window + SECOND:
        sources[name] = Source(now, 1, source.blocked_until if source else 0)
        return False
    source = source._replace(packets=source.packets + 1)
    over = source.packets > options.ratelimit_pps
    if over:
        source = source._replace(blocked_until=now + options.ratelimit_block_time * SECOND)
    sources[name] = source
    return over


def _source_name(parsed: Parsed, options: Options) -> str:
    """Return the name of the source in the rate limit: an IPv4 address, or an IPv6 prefix."""
    if parsed.family == "ipv4":
        return str(ipaddress.IPv4Address(parsed.source))
    rest = 128 - options.ratelimit_ipv6_prefix
    return str(ipaddress.IPv6Address(parsed.source >> rest << rest))


def _holds(entry: Entry, side: str, now: int) -> bool:
    until = entry.until[side == "dst"]
    return entry.direction in (side, "both") and (until is None or now < until)


def _event(parsed: Parsed, outcome: Outcome, options: Options) -> dict | None:
    """Return the event that a listener gets, without the fields that depend on the time and the interface."""
    reported = {
        "none": False,
        "dropped": outcome.verdict != "pass",
        "all_icmp": parsed.content != NOT_ICMP,
        "trace": parsed.family != "other" or parsed.content == TOO_MANY_TAGS,
    }
    if not reported[options.events]:
        return None
    address = {"ipv4": ipaddress.IPv4Address, "ipv6": ipaddress.IPv6Address}.get(parsed.family)
    return {
        "family": parsed.family,
        "protocol": parsed.protocol,
        "type": parsed.type,
        "code": parsed.code,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "src": address and str(address(parsed.source)),
        "dst": address and str(address(parsed.destination)),
        "length": outcome.size,
        "vlan": parsed.vlan,
    }


def _is_protected(parsed: Parsed, options: Options) -> bool:
    if parsed.content != A_MESSAGE:
        return False
    if parsed.family == "ipv4":
        return (parsed.type, parsed.code) == FRAGMENTATION_NEEDED
    if parsed.type == PACKET_TOO_BIG:
        return True
    if parsed.type in NEIGHBOUR_DISCOVERY or (parsed.type == REDIRECT and options.protect_redirects):
        # "The IP Hop Limit field has a value of 255" and "ICMP Code is 0": RFC 4861, 6.1.1, 6.1.2, 7.1.1, 7.1.2, 8.1.
        return parsed.hop_limit == 255 and parsed.code == 0
    if parsed.type in LISTENER_DISCOVERY:
        # RFC 3810, 5: hop limit 1 and a link-local source, or none while the host has no address yet (5.2.13).
        source = ipaddress.IPv6Address(parsed.source)
        return parsed.hop_limit == 1 and (source in LINK_LOCAL or source.is_unspecified)
    return False


def parse(frame: bytes) -> Parsed:
    """Parse Ethernet, VLAN tags, and IPv4 or IPv6, up to the ICMP message or to where the filter stops."""
    nothing = Parsed(NOT_ICMP, "other")
    tags, rest = _untagged(frame)
    if rest is None:
        return nothing
    if tags:
        nothing = nothing._replace(vlan=tags[0] & 0x0FFF)
    if len(tags) > MOST_VLAN_TAGS:
        return nothing._replace(content=TOO_MANY_TAGS)
    ethertype, packet = _u16(rest, 0), rest[2:]
    if ethertype == ETHERTYPE_IPV4 and len(packet) >= 20 and packet[0] >> 4 == 4:
        return _parse_ipv4(packet)._replace(vlan=nothing.vlan)
    if ethertype == ETHERTYPE_IPV6 and len(packet) >= 40 and packet[0] >> 4 == 6:
        return _parse_ipv6(packet)._replace(vlan=nothing.vlan)
    return nothing


def _untagged(frame: bytes) -> tuple[list[int], bytes | None]:
    """Return the tags, and the rest from the ethertype on. The rest is None if the frame ends within the tags."""
    tags, position = [], 12
    while len(frame) >= position + 2 and _u16(frame, position) in VLAN_TAGS:
        # The filter does not read further, so it cannot know what follows.
        if len(tags) == MOST_VLAN_TAGS:
            return [*tags, 0], frame[position:]
        if len(frame) < position + 6:
            return tags, None
        tags.append(_u16(frame, position + 2))
        position += 4
    return tags, frame[position:] if len(frame) >= position + 2 else None


def _parse_ipv4(packet: bytes) -> Parsed:
    source, destination = struct.unpack_from("!II", packet, 12)
    found = Parsed(MALFORMED, "ipv4", source=source, destination=destination, protocol=packet[9])
    if packet[9] != ICMP:
        return found._replace(content=NOT_ICMP)
    length = (packet[0] & 0x0F) * 4
    if length < 20 or length > len(packet):
        return found
    if _u16(packet, 6) & 0x1FFF:
        return found._replace(content=LATER_FRAGMENT)
    return _with_message(found, packet[length:])


def _parse_ipv6(packet: bytes) -> Parsed:
    source, destination = int.from_bytes(packet[8:24], "big"), int.from_bytes(packet[24:40], "big")
    content, protocol, message = _walk(packet)
    found = Parsed(content, "ipv6", source=source, destination=destination, protocol=protocol, hop_limit=packet[7])
    return _with_message(found, message) if content == A_MESSAGE else found


def _walk(packet: bytes) -> tuple[str, int, bytes]:
    """Walk the extension headers. Return the content, the protocol of the last header, and what follows it."""
    protocol, position, end, first_fragment = packet[6], 40, len(packet), False
    for _header in range(MOST_EXTENSION_HEADERS):
        if protocol not in EXTENSION_HEADERS:
            break
        length = _extension_length(protocol, packet[position:end])
        if length is None:
            return (UNCLASSIFIED, FRAGMENT, b"") if first_fragment else (MALFORMED, protocol, b"")
        following, fields = packet[position], _u16(packet, position + 2)
        if protocol == FRAGMENT and fields >> 3:
            # The middle of a datagram follows. Only the next header field says what it is.
            return LATER_FRAGMENT if following == ICMPV6 else NOT_ICMP, protocol, b""
        if protocol == FRAGMENT and fields & 1:
            # Bytes after the payload are not part of the datagram. The kernel puts the next fragment there.
            first_fragment, end = True, min(end, 40 + _u16(packet, 4))
        protocol, position = following, position + length
    if first_fragment and end - position < (ICMP_HEADER if protocol == ICMPV6 else 0):
        return UNCLASSIFIED, FRAGMENT, b""
    if protocol in EXTENSION_HEADERS:
        return UNCLASSIFIED, protocol, b""
    return A_MESSAGE if protocol == ICMPV6 else NOT_ICMP, protocol, packet[position:end]


def _extension_length(kind: int, rest: bytes) -> int | None:
    """Return the length in bytes, or None if the packet is too short."""
    if len(rest) < SHORTEST_EXTENSION_HEADER:
        return None
    length = {FRAGMENT: 8, AUTHENTICATION: (rest[1] + 2) * 4}.get(kind, (rest[1] + 1) * 8)
    return length if length <= len(rest) else None


def _with_message(found: Parsed, message: bytes) -> Parsed:
    if len(message) < ICMP_HEADER:
        return found._replace(content=MALFORMED)
    return found._replace(content=A_MESSAGE, type=message[0], code=message[1])


def _as_listed(entry: Entry):
    """Return (entry in its shortest spelling, family, network as a number, prefix length, address width)."""
    network = ipaddress.ip_network(entry.ip)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen == 128:
        network = ipaddress.ip_network(mapped)
    exact = network.prefixlen == network.max_prefixlen
    entry = entry._replace(ip=str(network.network_address if exact else network))
    return entry, f"ipv{network.version}", int(network.network_address), network.prefixlen, network.max_prefixlen


def _u16(data: bytes, position: int) -> int:
    return struct.unpack_from("!H", data, position)[0]
