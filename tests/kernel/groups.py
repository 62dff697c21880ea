# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of frames. Each group is one question to a host: tagged, wrapped, cut, of wrong length, or all of these.

The kernel of the host decides whether it answers a question. Frames are built from bytes, because scapy is too slow.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
import struct
from typing import NamedTuple

# The most that the filter reads in a frame. It cannot classify frames with more.
MOST_TAGS = 16
MOST_HEADERS = 24

MTU = 3000  # of the wire: the most that native XDP supports on a veth, so that hundreds of tags fit
ROOM = 2000  # bytes for extension headers

END_MAC, GATEWAY_MAC = bytes.fromhex("020000000001"), bytes.fromhex("0200000000fe")
EVERYBODY_MAC = b"\xff" * 6


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


#: The host under test, and its gateway to all sources. Every group has a source address of its own.
END = {"ipv4": "192.0.2.1", "ipv6": "2001:db8:2::1", "link-local": "fe80::1"}
GATEWAY = {"ipv4": "192.0.2.254", "ipv6": "2001:db8:2::fe", "link-local": "fe80::fe"}
#: The first source of each kind, and the first of the multicast groups that the host is asked about.
SOURCES = {"ipv4": "10.0.0.0", "ipv6": "2001:db8:1::", "link-local": "fe80::a:0:0", "listener": "ff05::a:0:0"}

ALL_NODES, SOLICITED_NODE = packed("ff02::1"), packed("ff02::1:ff00:1")

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, OPTIONS = 0, 43, 44, 51, 59, 60
MOBILITY, HOST_IDENTITY, SHIM6 = 135, 139, 140
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58

STRANGE = (ICMPV6, TCP, NO_NEXT, OPTIONS, FRAGMENT, 255)  # unexpected next headers of later fragments

TCP_PORT, UDP_PORT = 7777, 9999

#: How often each kind of question is asked: (what, family) -> weight.
ICMP_QUESTIONS = {
    ("echo", "ipv4"): 5,
    ("echo", "ipv6"): 10,
    ("timestamp", "ipv4"): 2,
    ("extended echo", "ipv4"): 2,
    ("extended echo", "ipv6"): 2,
    ("neighbour", "ipv6"): 3,
    ("listener", "ipv6"): 2,
    ("router", "ipv6"): 2,
}
OTHER_QUESTIONS = {("udp", "ipv4"): 4, ("udp", "ipv6"): 8, ("tcp", "ipv4"): 1, ("tcp", "ipv6"): 2}


class Frame(NamedTuple):
    """One frame, and the offset of its fragment identification, which is 0 in the data (None: not a fragment)."""

    data: bytes
    identification: int | None = None

    def numbered(self, number: int) -> bytes:
        """Return the frame with this identification, so that the kernel does not join it with earlier fragments."""
        data, at = self.data, self.identification
        if at is None:
            return data
        if data[at - 4] >> 4 == 4:  # adapts the checksum of the header: RFC 1624
            (checksum,) = struct.unpack_from("!H", data, at + 6)
            checksum = 0xFFFF ^ _folded((0xFFFF ^ checksum) + number)
            return (
                data[:at]
                + struct.pack("!H", number)
                + data[at + 2 : at + 6]
                + struct.pack("!H", checksum)
                + data[at + 8 :]
            )
        return data[:at] + struct.pack("!I", number) + data[at + 4 :]


class Group(NamedTuple):
    """One question, as the frames to send."""

    number: int
    what: str
    family: str
    source: bytes
    answered_to: bytes  # the address that identifies the answer
    hop_limit: int
    frames: tuple
    tags: int  # the highest number of VLAN tags in a frame
    headers: int  # IPv6 extension headers of the whole datagram
    incomplete: bool  # the first fragment does not contain all headers
    decoy: bool  # bytes after its payload look like further headers
    claims_icmp: bool  # a later fragment has ICMPv6 as its next header

    @property
    def unclassified(self) -> bool:
        """Whether the filter cannot classify this."""
        return self.tags > MOST_TAGS or self.headers > MOST_HEADERS or self.incomplete


class Question(NamedTuple):
    """A question before it is wrapped in headers and tags."""

    what: str
    family: str
    source: bytes
    destination: bytes
    hop_limit: int
    protocol: int
    message: bytes


class Header(NamedTuple):
    """An IPv6 extension header, without its first byte, which names the next header."""

    kind: int
    rest: bytes


ROUTER_ALERT = Header(HOP_BY_HOP, bytes([0, 5, 2, 0, 0, 1, 0]))  # RFC 2711


class Packet(NamedTuple):
    """The bytes from the IP header to the end of the frame, and the offset of the identification."""

    data: bytes
    identification: int | None = None


class Shape(NamedTuple):
    """The packets of a group, and their properties."""

    packets: list
    headers: int = 0
    incomplete: bool = False
    decoy: bool = False
    claims_icmp: bool = False


def make_groups(seed: int, count: int, questions: dict) -> list:
    return [make_group(seed, number, questions) for number in range(1, count + 1)]


def make_group(seed: int, number: int, questions: dict) -> Group:
    """Make one group. It depends only on the arguments, not on other groups."""
    rng = random.Random(f"{seed}/{number}")
    question = _question(rng, number, *rng.choices([*questions], [*questions.values()])[0])
    shape = (_ipv4 if question.family == "ipv4" else _ipv6)(rng, question)
    frames, tags = _framed(rng, shape.packets, _mac(rng, question.destination))
    answered_to = address("listener", number) if question.what == "listener" else question.source
    named = question.what, question.family, question.source, answered_to, question.hop_limit
    return Group(number, *named, frames, tags, *shape[1:])


def address(kind: str, number: int) -> bytes:
    """Return the address of this kind for the question with this number."""
    return (ipaddress.ip_address(SOURCES[kind]) + number).packed


# Questions


def _question(rng, number, what, family):
    source = address("link-local" if what == "listener" else family, number)
    destination = _destination(rng, what, family, number)
    hop_limit = {"neighbour": 255, "listener": 1}.get(what) or rng.choice((255, 64))
    message = _message(rng, what, family, source + destination, address("listener", number))
    return Question(what, family, source, destination, hop_limit, *message)


def _destination(rng, what, family, number):
    if family == "ipv4":
        broadcasts = ("192.0.2.255", "255.255.255.255", "224.0.0.1")
        return packed(rng.choices([END["ipv4"], *broadcasts], [9, 1, 1, 1])[0])
    special = {"neighbour": SOLICITED_NODE, "listener": address("listener", number)}.get(what, ALL_NODES)
    return rng.choices([packed(END["ipv6"]), special, ALL_NODES], [8, 2, 1])[0]


def _message(rng, what, family, addresses, multicast):
    """Return the protocol and the bytes of the question."""
    more = rng.choice((b"", bytes(rng.randrange(64)), bytes(rng.choice((8, 64, 600)))))
    link_option = bytes([1, 1]) + GATEWAY_MAC
    index_of_loopback = struct.pack("!BxHHBBI", 0x20, 0xDFFC, 8, 3, 2, 1)  # RFC 8335, 2.1: version, checksum, object
    question = struct.pack("!HH", 1, 1)
    bodies = {
        "echo": (8, 128, question + more),
        "timestamp": (13, 0, question + bytes(12)),
        "extended echo": (42, 160, struct.pack("!HBB", 1, 1, 1) + index_of_loopback),
        "neighbour": (0, 135, bytes(4) + packed(END["ipv6"]) + link_option),
        "listener": (0, 130, struct.pack("!HH", 1, 0) + multicast + rng.choice((b"", bytes(4)))),
        "router": (0, 133, bytes(4) + link_option),
    }
    if what == "udp":
        protocol, at = UDP, 6
        message = struct.pack("!HHHH", 1024, UDP_PORT, 8 + len(more), 0) + more
    elif what == "tcp":
        protocol, at = TCP, 16
        message = struct.pack("!HHIIBBHHH", 1024, TCP_PORT, 1, 0, 5 << 4, 2, 1024, 0, 0)
    else:
        protocol, at = (ICMP if family == "ipv4" else ICMPV6), 2
        type4, type6, body = bodies[what]
        message = bytes([type4 if family == "ipv4" else type6, 0, 0, 0]) + body
    pseudo = b"" if protocol == ICMP else addresses + struct.pack("!II", len(message), protocol)
    return protocol, with_checksum(message, at, pseudo)


def with_checksum(message: bytes, at: int, pseudo_header: bytes = b"") -> bytes:
    """Return the message with its checksum at offset `at`. The given message must have 0 there."""
    data = pseudo_header + message + b"\0" * (len(message) % 2)
    checksum = 0xFFFF ^ _folded(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    return message[:at] + struct.pack("!H", checksum or 0xFFFF) + message[at + 2 :]


def _folded(number):
    while number >> 16:
        number = (number & 0xFFFF) + (number >> 16)
    return number


# Frames


def _mac(rng, destination):
    if destination[0] == 0xFF and len(destination) == 16:
        multicast = b"\x33\x33" + destination[-4:]
    elif destination[0] == 224:
        multicast = b"\x01\x00\x5e\x00\x00\x01"
    else:
        return rng.choices([END_MAC, EVERYBODY_MAC, b"\x33\x33\x00\x00\x00\x01"], [9, 1, 1])[0]
    return rng.choices([multicast, EVERYBODY_MAC, END_MAC], [6, 1, 1])[0]


def _framed(rng, packets, mac):
    """Return the frames in the order of sending, and the highest number of tags in a frame."""
    tags = _tags(rng)
    frames, most = [], 0
    for packet in packets:
        mine = tags if rng.random() < 0.7 else _tags(rng)
        mine = mine[: (MTU - len(packet.data)) // 4]
        ethertype = b"\x08\x00" if packet.data[0] >> 4 == 4 else b"\x86\xdd"
        link = mac + GATEWAY_MAC + b"".join(mine) + ethertype
        at = packet.identification
        frames.append(Frame(link + packet.data, None if at is None else len(link) + at))
        most = max(most, len(mine))
    return tuple(frames), most


def _tags(rng):
    """Return VLAN tags. Nearly all have VID 0, because a host without VLANs removes only those."""
    count = rng.choices((0, rng.randint(1, 2), rng.randint(3, 16), rng.randint(17, 40), 300), (50, 14, 20, 6, 1))[0]
    vid = rng.randint(1, 4095) if rng.random() < 0.03 else 0
    return [
        rng.choice((b"\x81\x00", b"\x88\xa8")) + struct.pack("!H", rng.randrange(16) << 12 | vid) for _ in range(count)
    ]


def _pieces(rng, payload, marks):
    """Cut a payload into pieces: (offset, bytes, whether more follows), in the order of sending.

    Most cuts are at multiples of eight. `marks` are preferred places for cuts.
    """
    last = max(len(payload) - 1, 1)
    places = [mark for mark in marks if mark < last] or [last]
    wanted = rng.choices((1, 2, 3, 8), (10, 4, 2, 1))[0]
    cuts = {
        rng.choice((rng.choice(places), rng.randint(1, last), rng.randint(1, min(last, 64)))) for _ in range(wanted)
    }
    if rng.random() > 0.04:
        cuts = {cut & ~7 for cut in cuts} - {0}
    ends = [*sorted(cuts), len(payload)]
    pieces = [(start, payload[start:end], end < len(payload)) for start, end in zip([0, *ends], ends)]
    if rng.random() < 0.05:  # a piece that overlaps another
        start, data, _more = rng.choice(pieces)
        pieces.append((start, data[: max(8, len(data) // 2 & ~7)], True))
    if rng.random() < 0.15:
        pieces.append(rng.choice(pieces))
    order = rng.choices(("as cut", "back to front", "any"), (5, 2, 2))[0]
    if order == "any":
        rng.shuffle(pieces)
    return pieces[::-1] if order == "back to front" else pieces


def _trailer(rng, often):
    """Return bytes to put after the end of a packet, with the probability `often`."""
    if rng.random() >= often:
        return b""
    return rng.choice((bytes(rng.randint(1, 46)), rng.getrandbits(320).to_bytes(40, "big"), bytes([8, 0] * 20)))


# IPv4


def _ipv4(rng, question):
    options = _ipv4_options(rng, question.source)
    if rng.random() < 0.65:
        flags = rng.choice((0, 0, 0x4000))  # don't fragment
        return Shape([Packet(_ipv4_packet(rng, question, options, flags, question.message))])
    packets = []
    for start, data, more in _pieces(rng, question.message, ()):
        mine, theirs = options if start == 0 or rng.random() < 0.7 else b"", question
        if start and rng.random() < 0.03:
            theirs = question._replace(protocol=rng.randrange(256))
        packets.append(Packet(_ipv4_packet(rng, theirs, mine, more << 13 | start // 8, data), 4))
    return Shape(packets)


def _ipv4_packet(rng, question, options, fragment, payload):
    """Return a packet, which may have a trailer or wrong lengths. `fragment` has the flags and the offset."""
    words = 5 + len(options) // 4
    length = 4 * words + len(payload)
    trailer = _trailer(rng, 0.25)
    if rng.random() < 0.03:
        wrong = ((length + 4, words), (length - 4, words), (length, words + 1), (length, 4), (20, words))
        length, words = rng.choice(wrong)
    fragment |= rng.choice((0, 0, 0, 0x8000))  # the reserved bit
    header = struct.pack("!BBHHHBBH", 4 << 4 | words & 0xF, 0, length, 0, fragment, 64, question.protocol, 0)
    return with_checksum(header + question.source + question.destination + options, 10) + payload + trailer


def _ipv4_options(rng, source):
    options = rng.choice(
        (
            b"\x01" * rng.randrange(40),
            b"\x07\x27\x04" + bytes(36),  # record route, with room for nine
            b"\x44\x24\x05\x00" + bytes(32),  # timestamps
            b"\x83\x07\x08" + source,  # loose source route that has reached its end
            b"\x94\x04\x00\x00",  # router alert
            b"\x5e\x06" + bytes(4),  # an experimental option
            b"\x00",
        )
    )
    options = rng.choice((b"", options))
    return options + b"\0" * (-len(options) % 4)


# IPv6


def _ipv6(rng, question):
    headers = _chain(rng, question.what)
    # The kernel refuses fragments of neighbour discovery (RFC 6980), and writes a line to its log for each.
    if question.what == "neighbour" or rng.random() < 0.5:
        return _ipv6_whole(rng, question, headers)
    return _ipv6_fragments(rng, question, headers)


def _ipv6_whole(rng, question, headers):
    payload = joined(headers, question.protocol) + question.message
    following = headers[0].kind if headers else question.protocol
    length = len(payload)
    if following == HOP_BY_HOP and rng.random() < 0.3:
        length = 0  # the kernel reads to the end of the frame
    elif rng.random() < 0.03:
        length = rng.choice((0, length - 8, length + 8, length + 1))
    trailer = _trailer(rng, 0.25) if length else b""
    return Shape([Packet(_ipv6_header(question, following, length) + payload + trailer)], len(headers))


def _ipv6_header(question, following, length):
    fields = struct.pack("!IHBB", 6 << 28, length, following, question.hop_limit)
    return fields + question.source + question.destination


def joined(headers, last: int) -> bytes:
    """Join a chain of headers. `last` is the next header number of the last one."""
    following = [header.kind for header in headers[1:]] + [last]
    return b"".join(bytes([kind]) + header.rest for kind, header in zip(following, headers))


def _ipv6_fragments(rng, question, headers):
    if rng.random() < 0.95:  # the kernel refuses a second fragment header
        headers = [header for header in headers if header.kind != FRAGMENT]
    first = int(bool(headers) and headers[0].kind == HOP_BY_HOP)
    outer = max(first, rng.choices((0, 1, 2, len(headers)), (6, 3, 2, 1))[0])
    outer, inner = headers[:outer], headers[outer:]
    first_kind = inner[0].kind if inner else question.protocol
    payload = joined(inner, question.protocol) + question.message
    boundaries = [0, *itertools.accumulate(1 + len(header.rest) for header in inner)]
    shape = Shape([], len(headers) + 1)
    for start, data, more in _pieces(rng, payload, boundaries[1:]):
        mine, following, trailer = outer, first_kind, _trailer(rng, 0.15)
        said = len(data) if rng.random() < 0.98 else rng.choice((len(data) - 8, len(data) + 8, -MTU))
        if start >= 8:
            mine = outer if rng.random() < 0.9 else outer[: rng.randrange(2)]
            following = rng.choice((first_kind, question.protocol, rng.choice(STRANGE)))
            shape = shape._replace(claims_icmp=shape.claims_icmp or following == ICMPV6)
        elif start or (more and said < boundaries[-1] + 8):
            decoy = _decoy(rng, payload, boundaries, len(data)) if rng.random() < 0.5 else b""
            shape = shape._replace(incomplete=True, decoy=shape.decoy or bool(decoy))
            trailer = decoy or trailer
        shape.packets.append(_ipv6_fragment(rng, question, mine, following, (start, data, said, more), trailer))
    return shape


def _ipv6_fragment(rng, question, headers, following, piece, trailer):
    start, data, said, more = piece
    reserved = rng.choice((0, 0, 2, 4, 6))
    fragment = Header(FRAGMENT, struct.pack("!BHI", rng.choice((0, 255)), start & ~7 | reserved | more, 0))
    wrapping = joined([*headers, fragment], following)
    length = max(len(wrapping) + said, 0)
    header = _ipv6_header(question, headers[0].kind if headers else FRAGMENT, length)
    return Packet(header + wrapping + data + trailer, len(header) + len(wrapping) - 4)


def _decoy(rng, payload, boundaries, end):
    """Return bytes to put after a first fragment. They look like further headers that do not lead to ICMP."""
    begins = next((place for place in boundaries[:-1] if place >= end), None)
    if begins is None:
        return b""
    return payload[end:begins] + bytes([rng.choice((NO_NEXT, TCP, UDP, 255))]) + bytes(7) + bytes(rng.choice((0, 20)))


def _chain(rng, what):
    """Return random extension headers."""
    count = rng.choices(
        (0, rng.randint(1, 8), rng.randint(9, 24), rng.randint(25, 40), rng.randint(41, 175)), (20, 30, 25, 8, 7)
    )[0]
    style = rng.choices(([OPTIONS], [OPTIONS, ROUTING], None), (3, 5, 1))[0]
    anything = [OPTIONS, ROUTING, FRAGMENT, AUTHENTICATION, MOBILITY, HOST_IDENTITY, SHIM6, HOP_BY_HOP]
    headers, room = [], ROOM
    for _ in range(count):
        header = extension(rng, rng.choice(style or anything), room - 8 * (count - len(headers)))
        room -= 1 + len(header.rest)
        headers.append(header)
    if style and headers and rng.random() < 0.3:
        headers[rng.randrange(count)] = extension(rng, FRAGMENT, 0)
    if what == "listener":
        headers.insert(0, ROUTER_ALERT)
    elif rng.random() < 0.25:
        headers.insert(0, extension(rng, HOP_BY_HOP, 8 * 8))
    return headers


def extension(rng, kind: int, room: int = 0) -> Header:
    """Return an extension header of this kind, at most `room` bytes longer than the shortest."""
    units = min(rng.choices((0, rng.randint(1, 4), rng.randint(5, 255)), (85, 12, 3))[0], max(room, 0) // 8)
    if kind == FRAGMENT:
        return Header(kind, struct.pack("!BHI", 0, rng.choice((0, 2, 6)), rng.getrandbits(32)))
    size = 6 + 8 * units
    if kind in (HOP_BY_HOP, OPTIONS):
        return Header(kind, bytes([units]) + _options(rng, size))
    if kind == ROUTING and room >= 32 and rng.random() < 0.1:
        # Segment routing with at most one segment left, which is the same host again (RFC 8754, 2).
        return Header(kind, bytes([4, 4, rng.randrange(2), 1, 0, 0, 0]) + 2 * packed(END["ipv6"]))
    if kind == ROUTING:
        return Header(kind, bytes([units, rng.choice((0, 0, 2, 3, 4, 5, 253)), 0]) + bytes(size - 2))
    if kind == AUTHENTICATION:  # its length counts words of four bytes
        units = min(units, 127)
        return Header(kind, bytes([2 * units]) + bytes(6 + 8 * units))
    return Header(kind, bytes([units]) + bytes(size))


def _options(rng, size):
    """Return options that fill `size` bytes: at most seven bytes of padding, the kernel's limit, or options to skip."""
    if size == 6:
        return rng.choice((b"\x01\x04" + bytes(4), bytes(6), b"\x1e\x04" + bytes(4), b"\x01\x00\x00\x01\x01\x00"))
    found = b""
    while len(found) < size:
        length = min(size - len(found) - 2, 255)
        if size - len(found) - 2 - length == 1:
            length -= 1  # only padding can be one byte long
        found += bytes([0x1E, length]) + bytes(length)
    return found
