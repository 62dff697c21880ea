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

SECOND = 1_000_000_000

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
    icmp_types: frozenset[tuple] = ECHO_REQUEST  # of (family, type) and (family, type, code)
    protect: bool = True
    monitor: bool = False
    ratelimit_pps: int = 0  # packets a second; 0: no limit
    ratelimit_block_time: int = 60  # seconds
    ratelimit_ipv6_prefix: int = 64
    timing_sample: int = 0  # 0: none, 1: every frame; what is between depends on more than the frame
    events: str = "none"
    hook: str = "xdp"


class Entry(NamedTuple):
    """One line of a list: an address or network as text, the side it applies to, and until when on each side.

    Until is a time of the boot clock in nanoseconds, as a source and as a destination, or None for ever.
    """

    ip: str
    direction: str = "src"
    until: tuple[int | None, int | None] = (None, None)


class Source(NamedTuple):
    """What the rate limit knows of a source. Times are of the boot clock, in nanoseconds."""

    window: int  # when the second that is being counted began
    packets: int = 1  # in this second
    blocked_until: int = 0


class Parsed(NamedTuple):
    """What can be read from a frame; `type` is None where there is no ICMP header to read (a later fragment)."""

    family: str
    problem: str | None = None  # not_icmp, malformed, or None for ICMP
    type: int | None = None
    code: int | None = None
    source: int = 0
    destination: int = 0
    protocol: int = 0
    vlan: int | None = None  # of the outer tag


class Outcome(NamedTuple):
    """The one verdict and the one reason of a frame, and what they change."""

    verdict: str
    reason: str
    family: str
    action: str  # what the kernel is told: in monitor mode always pass
    size: int
    credited: tuple[str, Entry] | None = None  # (list name, entry)
    timed: bool = False
    event: dict | None = None  # what a listener is told

    @property
    def changes(self) -> dict:
        """Every counter that moves, by name, and by how much: (packets, bytes), or packets alone."""
        moved = {("reason", self.reason, self.family): (1, self.size)}
        if self.credited:
            name, entry = self.credited
            moved["entry", name, entry.ip] = (1, self.size)
        if self.timed:
            moved["timed", "dropped" if self.verdict == "drop" else "passed"] = (1,)
        if self.event:
            moved["events", "sent"] = (1,)
            moved["event", 0] = self.event
        return moved


class Lists:
    """The allowlist and blocklist, as networks ready to be compared."""

    def __init__(self, blocklist=(), allowlist=()):
        self.blocklist = [_as_listed(entry) for entry in blocklist]
        self.allowlist = [_as_listed(entry) for entry in allowlist]

    def find(self, name: str, parsed: Parsed, now: int) -> tuple[str, Entry] | None:
        """The entry of list `name` that decides this packet: the source is looked at before the destination."""
        for side, address in (("src", parsed.source), ("dst", parsed.destination)):
            matches = [
                (prefix, entry)
                for entry, family, network, prefix, width in getattr(self, name)
                if family == parsed.family
                and _holds(entry, side, now)
                and network >> (width - prefix) == address >> (width - prefix)
            ]
            if matches:
                # An exact address is the longest prefix there is, so the longest match is also "exact before network".
                return name, max(matches)[1]
        return None


def decide(
    frame: bytes, options: Options, lists: Lists | None = None, sources: dict[str, Source] | None = None, now: int = 0
) -> Outcome:
    """The outcome of one frame: the rows of the decision table, top to bottom.

    `sources` are those that the rate limit knows, changed as the frame changes them; `now` is the boot clock.
    """
    parsed = parse(frame)
    verdict, reason, credited = _verdict(parsed, options, lists or Lists(), {} if sources is None else sources, now)
    outcome = Outcome(
        verdict,
        reason,
        parsed.family,
        action="pass" if options.monitor else verdict,
        size=len(frame),
        credited=credited,
        timed=options.timing_sample == 1,
    )
    return outcome._replace(event=_event(parsed, outcome, options))


def _verdict(parsed: Parsed, options: Options, lists: Lists, sources: dict, now: int):
    if parsed.problem:
        return "pass", parsed.problem, None
    if options.protect and _is_protected(parsed):
        return "pass", "protected", None
    allowed = lists.find("allowlist", parsed, now)
    if allowed:
        return "pass", "allowlist", allowed
    blocked = lists.find("blocklist", parsed, now)
    if blocked:
        return "drop", "blocklist", blocked
    if parsed.type is not None:
        if not _is_filtered(parsed, options):
            return "pass", "type", None
        if options.ratelimit_pps and _is_over_limit(_source_name(parsed, options), options, sources, now):
            return "drop", "ratelimit", None
    return options.policy, "policy_" + options.policy, None


def _is_filtered(parsed: Parsed, options: Options) -> bool:
    whole = (parsed.family, parsed.type, parsed.code)
    return whole in options.icmp_types or whole[:2] in options.icmp_types


def _is_over_limit(name: str, options: Options, sources: dict, now: int) -> bool:
    """Count a packet of this source, unless it is serving its time."""
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
    """Whom the rate limit counts together: an IPv4 address, or all of an IPv6 prefix."""
    if parsed.family == "ipv4":
        return str(ipaddress.IPv4Address(parsed.source))
    rest = 128 - options.ratelimit_ipv6_prefix
    return str(ipaddress.IPv6Address(parsed.source >> rest << rest))


def _holds(entry: Entry, side: str, now: int) -> bool:
    until = entry.until[side == "dst"]
    return entry.direction in (side, "both") and (until is None or now < until)


def _event(parsed: Parsed, outcome: Outcome, options: Options) -> dict | None:
    """What is told of the frame while somebody listens: the fields that do not depend on where and when it came."""
    reported = {
        "none": False,
        "dropped": outcome.verdict == "drop",
        "all_icmp": parsed.problem != "not_icmp",
        "trace": parsed.family != "other",
    }
    if not reported[options.events]:
        return None
    address = ipaddress.IPv4Address if parsed.family == "ipv4" else ipaddress.IPv6Address
    return {
        "family": parsed.family,
        "protocol": parsed.protocol,
        "type": parsed.type,
        "code": parsed.code,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "monitored": outcome.action != outcome.verdict,
        "src": str(address(parsed.source)),
        "dst": str(address(parsed.destination)),
        "length": outcome.size,
        "vlan": parsed.vlan,
    }


def _is_protected(parsed: Parsed) -> bool:
    if parsed.family == "ipv4":
        return (parsed.type, parsed.code) == FRAGMENTATION_NEEDED
    return parsed.type in PROTECTED_ICMPV6


def parse(frame: bytes) -> Parsed:
    """Ethernet and up to two VLAN tags, then IPv4 or IPv6. Nothing but the frame's end bounds what is read."""
    other = Parsed("other", "not_icmp")
    if len(frame) < 14:
        return other
    ethertype, position, vlan = _u16(frame, 12), 14, None
    for _tag in range(MOST_VLAN_TAGS):
        if ethertype not in VLAN_TAGS:
            break
        if len(frame) < position + 4:
            return other
        vlan = _u16(frame, position) & 0x0FFF if vlan is None else vlan
        ethertype, position = _u16(frame, position + 2), position + 4

    header = frame[position:]
    if ethertype == ETHERTYPE_IPV4 and len(header) >= 20 and header[0] >> 4 == 4:
        return _parse_ipv4(header)._replace(vlan=vlan)
    if ethertype == ETHERTYPE_IPV6 and len(header) >= 40 and header[0] >> 4 == 6:
        return _parse_ipv6(header)._replace(vlan=vlan)
    return other


def _parse_ipv4(header: bytes) -> Parsed:
    source, destination = struct.unpack_from("!II", header, 12)
    found = Parsed("ipv4", source=source, destination=destination, protocol=header[9])
    if header[9] != ICMP:
        return found._replace(problem="not_icmp")
    length = (header[0] & 0x0F) * 4
    if length < 20 or length > len(header):
        return found._replace(problem="malformed")
    fragment_offset = _u16(header, 6) & 0x1FFF
    return found if fragment_offset else _parse_icmp(found, header[length:])


def _parse_ipv6(header: bytes) -> Parsed:
    source, destination = int.from_bytes(header[8:24], "big"), int.from_bytes(header[24:40], "big")
    found = Parsed("ipv6", source=source, destination=destination, protocol=header[6])
    rest = header[40:]
    walked = 0
    while found.protocol in EXTENSION_HEADERS:
        walked += 1
        if walked > MOST_EXTENSION_HEADERS or len(rest) < SHORTEST_EXTENSION_HEADER:
            return found._replace(problem="malformed")
        length = _extension_length(found.protocol, rest)
        if length > len(rest):
            return found._replace(problem="malformed")
        if found.protocol == FRAGMENT and _u16(rest, 2) >> 3:
            # What follows is the middle of something: only the header's own word for it can be believed.
            return found._replace(problem=None if rest[0] == ICMPV6 else "not_icmp")
        found, rest = found._replace(protocol=rest[0]), rest[length:]
    return _parse_icmp(found, rest) if found.protocol == ICMPV6 else found._replace(problem="not_icmp")


def _extension_length(kind: int, header: bytes) -> int:
    if kind == FRAGMENT:
        return 8  # has no length field
    if kind == AUTHENTICATION:
        return (header[1] + 2) * 4
    return (header[1] + 1) * 8


def _parse_icmp(found: Parsed, header: bytes) -> Parsed:
    if len(header) < ICMP_HEADER:
        return found._replace(problem="malformed")
    return found._replace(type=header[0], code=header[1])


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
