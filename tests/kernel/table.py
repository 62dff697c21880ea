# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision table as rows: a packet, the options and lists, and the expected result.

The expectations are written by hand. The rows test both the loaded program and the model. Where it makes sense, rows
come in threes: a packet that matches, one that just does not, and one of another protocol that must never be dropped
(the guard).
"""

from __future__ import annotations

import ipaddress

from model import ECHO_REQUEST, EVERY_TYPE, Entry, Options
from packets import (
    DESTINATION,
    DESTINATION6,
    ICMP6_ECHO,
    LINK,
    SOURCE,
    SOURCE6,
    STRANGER,
    STRANGER6,
    chain,
    extension,
    fragment,
    icmp6,
    ip,
    ip6,
    ping,
    ping6,
    typed,
)
from regressions import regressions
from rows import DROP_ALL, Known, Row
from scapy.all import (
    AH,
    ARP,
    ESP,
    GRE,
    ICMP,
    IP,
    LLC,
    SCTP,
    STP,
    TCP,
    UDP,
    Dot1AD,
    Dot1Q,
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPOption_RR,
    IPOption_Timestamp,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PPPoE,
    Raw,
)

# The rows are aligned by hand.
# fmt: off

# The options of the rows, in addition to DROP_ALL.
DEFAULT = Options()
UNPROTECTED = DROP_ALL._replace(protect=False)
DROP_PING = Options(policy="drop", icmp_types=ECHO_REQUEST)
PASS_ALL = Options(icmp_types=EVERY_TYPE)
# The most types that can be given without "all".
ALL_OF_IPV4 = Options(policy="drop", icmp_types=frozenset({("ipv4", number) for number in range(63)} | {("ipv6", 128)}))
LENIENT = UNPROTECTED._replace(strict=False)
MONITOR = DROP_ALL._replace(monitor=True)

EVERYBODY = (Entry("0.0.0.0/0", "both"), Entry("::/0", "both"), Entry(SOURCE), Entry(SOURCE6))

EXTENSIONS = {
    "hop-by-hop": 0, "routing": 43, "fragment": 44, "authentication": 51,
    "destination options": 60, "mobility": 135, "host identity": 139, "shim6": 140,
}


def hostile(name, packet, expect):
    """Return a row with all lists and options that could drop it, for a packet that must always pass."""
    return Row(name, packet, expect, UNPROTECTED, EVERYBODY)


def blocked(name, packet, expect, entry, by=None):
    """Return a row that only the blocklist can drop."""
    return Row(name, packet, expect, DEFAULT, (entry,), by=by)


def around(address, prefix):
    """Return the network with this prefix length around an address."""
    return str(ipaddress.ip_network((address, prefix), strict=False))


def not_icmp():
    echo = bytes(ICMP() / b"looks like a ping")
    yield hostile("arp request", LINK / ARP(psrc=SOURCE, pdst=DESTINATION), "pass not_icmp other")
    yield hostile("arp behind a vlan tag", LINK / Dot1Q(vlan=1) / ARP(psrc=SOURCE), "pass not_icmp other")
    yield hostile("spanning tree (length instead of ethertype)", LINK / LLC() / STP(), "pass not_icmp other")
    yield hostile("pppoe", LINK / PPPoE() / Raw(bytes(100)), "pass not_icmp other")
    for number in (0x0000, 0x0101, 0x0806, 0x8035, 0x8847, 0x86DC, 0x86DE, 0x0801, 0x0008, 0xDD86, 0x9100, 0xFFFF):
        packet = typed(number) / Raw(bytes(ping())[14:])
        yield hostile(f"ethertype {number:#06x} over an ipv4 ping", packet, "pass not_icmp other")
    yield hostile("tcp syn", ip() / TCP(), "pass not_icmp ipv4")
    yield hostile("tcp over ipv6", ip6() / TCP(), "pass not_icmp ipv6")
    yield hostile("udp with a payload like icmp", ip() / UDP() / echo, "pass not_icmp ipv4")
    yield hostile("udp over ipv6 with a payload like icmp", ip6() / UDP() / ICMP6_ECHO, "pass not_icmp ipv6")
    yield hostile("sctp", ip() / SCTP(), "pass not_icmp ipv4")
    yield hostile("gre", ip() / GRE() / IP() / ICMP(), "pass not_icmp ipv4")
    yield hostile("ipv4 in ipv4 around a ping", ip() / IP(src=SOURCE) / ICMP(), "pass not_icmp ipv4")
    yield hostile("ipv6 in ipv4 around a ping", ip() / IPv6(src=SOURCE6) / ICMPv6EchoRequest(), "pass not_icmp ipv4")
    yield hostile("ipv6 in ipv6 around a ping", ip6() / IPv6(src=SOURCE6) / ICMPv6EchoRequest(), "pass not_icmp ipv6")
    yield hostile("icmpv6 number inside ipv4", ip(proto=58) / Raw(ICMP6_ECHO), "pass not_icmp ipv4")
    yield hostile("icmp number inside ipv6", ip6(nh=1) / Raw(echo), "pass not_icmp ipv6")
    yield hostile("no next header", ip6(nh=59) / Raw(ICMP6_ECHO), "pass not_icmp ipv6")
    yield hostile("no next header after an extension", chain([0], last=59), "pass not_icmp ipv6")
    yield hostile("encrypted payload", ip6() / ESP(spi=1, seq=1, data=ICMP6_ECHO), "pass not_icmp ipv6")
    # Read as an extension header, these bytes lead to a ping. The filter may walk only the eight known kinds.
    hidden = extension(58, 58) + ICMP6_ECHO
    for number in sorted(set(range(256)) - {58, *EXTENSIONS.values()}):
        yield hostile(f"next header {number}", ip6(nh=number) / Raw(hidden), "pass not_icmp ipv6")
    for number in sorted(set(range(256)) - {1}):
        yield hostile(f"protocol {number}", ip(proto=number) / Raw(echo), "pass not_icmp ipv4")
    yield hostile("tcp behind an authentication header in ipv4", ip(proto=51) / AH(nh=6) / TCP(), "pass not_icmp ipv4")
    yield hostile("icmp behind an authentication header in ipv4", ip(proto=51) / AH(nh=1) / ICMP(),
                  "pass not_icmp ipv4")
    yield hostile("later fragment of udp", ip(proto=17, frag=100) / Raw(bytes(64)), "pass not_icmp ipv4")
    yield hostile("first fragment of udp", ip(proto=17, flags="MF") / UDP() / Raw(bytes(64)), "pass not_icmp ipv4")
    yield hostile("ethertype ipv4 over version 6", typed(0x0800) / Raw(bytes(ping6())[14:]), "pass not_icmp other")
    yield hostile("ipv4 header with version 6", ip(version=6) / ICMP(), "pass not_icmp other")
    yield hostile("ipv4 header with version 0", ip(version=0) / ICMP(), "pass not_icmp other")
    yield hostile("ipv6 header with version 4", ip6(version=4) / ICMPv6EchoRequest(), "pass not_icmp other")
    yield hostile("ipv6 header with version 15", ip6(version=15) / ICMPv6EchoRequest(), "pass not_icmp other")
    yield hostile("tcp whose ipv4 header is too short to be one", ip(ihl=4) / TCP(), "pass not_icmp ipv4")
    yield hostile("tcp whose ipv4 options run off the frame", ip(ihl=15) / TCP(), "pass not_icmp ipv4")
    for length in (14, 15, 17, 18, 20, 33):
        yield hostile(f"ipv4 cut to {length} bytes", bytes(ip() / TCP())[:length], "pass not_icmp other")


def ipv4():
    listed = Entry(SOURCE)
    yield blocked("ping from a listed address", ping(), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("ping from an address one off", ping(src="198.51.100.8"), "pass policy_pass ipv4", listed)
    yield blocked("tcp from a listed address", ip() / TCP(), "pass not_icmp ipv4", listed)
    yield blocked("echo reply from a listed address", ip() / ICMP(type=0), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("every icmp of a listed address", ip() / ICMP(type=200, code=9), "drop blocklist ipv4",
                  listed, SOURCE)
    yield blocked("port unreachable from a listed address", ip() / ICMP(type=3, code=3) / IP() / UDP(),
                  "drop blocklist ipv4", listed, SOURCE)
    yield blocked("ping with a payload", ping() / Raw(bytes(1400)), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("total length says nothing", ip(len=1) / ICMP(), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("total length says more than there is", ip(len=60000) / ICMP(), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("checksums are not the filter's business", ip(chksum=1) / ICMP(chksum=1),
                  "drop blocklist ipv4", listed, SOURCE)
    yield blocked("padding behind the packet", ping() / Raw(bytes(18)), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("don't fragment", ip(flags="DF") / ICMP(), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("reserved flag", ip(flags="evil") / ICMP(), "drop blocklist ipv4", listed, SOURCE)


def ipv4_options():
    record = IPOption_RR(length=39, pointer=4, routers=["0.0.0.0"] * 9)
    listed = Entry(SOURCE)
    for words in range(1, 11):
        packet = ip(options=[Raw(b"\x01" * 4 * words)]) / ICMP()
        yield blocked(f"{words} words of options", packet, "drop blocklist ipv4", listed, SOURCE)
    yield blocked("ping -R", ip(options=[record]) / ICMP(), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("ping -T", ip(options=[IPOption_Timestamp()]) / ICMP(), "drop blocklist ipv4", listed, SOURCE)
    yield blocked("tcp with options", ip(options=[record]) / TCP(), "pass not_icmp ipv4", listed)
    # An echo reply whose options look like an echo request.
    hidden = ip(options=[Raw(b"\x08\x00\x00\x00")]) / ICMP(type=0)
    yield Row("the type is behind the options", hidden, "pass type ipv4", DROP_PING)
    for words in (0, 1, 4):
        yield hostile(f"ping with a header of {words} words", ip(ihl=words) / ICMP(), "pass malformed ipv4")
    yield hostile("ping with options beyond the end", ip(ihl=8) / ICMP(), "pass malformed ipv4")
    yield hostile("ping with options up to the end", ip(ihl=7) / ICMP(), "pass malformed ipv4")


def ipv4_fragments():
    listed = Entry(SOURCE)
    first, later, last = (ip(flags=flags, frag=offset, proto=1) for flags, offset in (("MF", 0), ("MF", 1), (0, 8191)))
    echo, middle = Raw(bytes(ICMP() / bytes(64))), Raw(b"\x08" * 72)
    yield blocked("first fragment from a listed address", first / echo, "drop blocklist ipv4", listed, SOURCE)
    yield blocked("later fragment from a listed address", later / middle, "drop blocklist ipv4", listed, SOURCE)
    yield blocked("last fragment from a listed address", last / middle, "drop blocklist ipv4", listed, SOURCE)
    yield blocked("later fragment from an unlisted address", later / middle, "pass type ipv4", Entry(STRANGER))
    for bit in range(13):
        yield Row(f"bit {bit} of the offset makes a later fragment", ip(frag=1 << bit, proto=1) / ICMP(type=8),
                  "pass type ipv4", DROP_PING)
    yield blocked("later fragment without a byte of data", later, "drop blocklist ipv4", listed, SOURCE)
    yield blocked("first fragment of one word", first / Raw(bytes(4)), "pass malformed ipv4", listed)
    yield Row("first fragment under policy drop", first / echo, "drop policy_drop ipv4")
    yield Row("first fragment of an unfiltered type", first / ICMP(type=0), "pass type ipv4", DROP_PING)
    yield Row("later fragment where policy drops pings", later / middle, "pass type ipv4", DROP_PING)
    yield Row("later fragment where policy drops every type of one family and one of the other", later / middle,
              "pass type ipv4", ALL_OF_IPV4)
    yield Row("later fragment under policy drop", later / middle, "drop policy_drop ipv4")
    yield Row("later fragment where policy passes all types", later / middle, "pass policy_pass ipv4", PASS_ALL)
    yield Row("later fragment has no type, whatever its bytes say", later / ICMP(type=8), "pass type ipv4", DROP_PING)
    yield Row("later fragment is never protected", later / ICMP(type=3, code=4), "drop policy_drop ipv4")
    yield Row("later fragment from an allowed address", later / middle, "pass allowlist ipv4",
              allowlist=(listed,), by=SOURCE)
    yield Row("later fragment with options", ip(proto=1, frag=2, options=[Raw(b"\x01" * 8)]) / middle,
              "drop policy_drop ipv4")
    yield hostile("later fragment with options beyond the end", ip(proto=1, frag=2, ihl=15) / Raw(bytes(39)),
                  "pass malformed ipv4")


def ipv6():
    listed = Entry(SOURCE6)
    yield blocked("ping from a listed address", ping6(), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("ping from an address one off", ping6(src="2001:db8:1::8"), "pass policy_pass ipv6", listed)
    yield blocked("ping from an address off in its first bit", ping6(src="a001:db8:1::7"), "pass policy_pass ipv6",
                  listed)
    yield blocked("tcp from a listed address", ip6() / TCP(), "pass not_icmp ipv6", listed)
    yield blocked("echo reply from a listed address", ip6() / ICMPv6EchoReply(), "drop blocklist ipv6", listed, SOURCE6)
    for layer in (ICMPv6DestUnreach, ICMPv6TimeExceeded, ICMPv6ParamProblem):
        yield blocked(f"{layer.__name__} from a listed address", ip6() / layer() / IPv6(), "drop blocklist ipv6",
                      listed, SOURCE6)
    yield blocked("traffic class and flow label", ping6(tc=255, fl=0xFFFFF), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("payload length says nothing", ping6(plen=0), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("payload length says more than there is", ping6(plen=65535), "drop blocklist ipv6", listed, SOURCE6)
    # The families are separate: on the wire a mapped address is IPv6, in a list it is the IPv4 address.
    mapped = "::ffff:" + SOURCE
    yield blocked("listed as mapped, sent as ipv4", ping(), "drop blocklist ipv4", Entry(mapped), SOURCE)
    yield blocked("listed as ipv4, sent as mapped", ping6(src=mapped), "pass policy_pass ipv6", Entry(SOURCE))
    yield blocked("address of all zeros", ping6(src="::"), "drop blocklist ipv6", Entry("::"), "::")
    yield blocked("address of all zeros in ipv4", ping(src="0.0.0.0"), "drop blocklist ipv4",
                  Entry("0.0.0.0"), "0.0.0.0")


def vlan():
    for name, tags in TAGS.items():
        yield blocked(f"{name}: ping from a listed address", LINK / tags / ping()[IP], "drop blocklist ipv4",
                      Entry(SOURCE), SOURCE)
        yield blocked(f"{name}: ping6 from a listed address", LINK / tags / ping6()[IPv6], "drop blocklist ipv6",
                      Entry(SOURCE6), SOURCE6)
        yield blocked(f"{name}: ping from an unlisted address", LINK / tags / ping(src=STRANGER)[IP],
                      "pass policy_pass ipv4", Entry(SOURCE))
        yield hostile(f"{name}: tcp", LINK / tags / (ip() / TCP())[IP], "pass not_icmp ipv4")
        yield hostile(f"{name}: tcp6", LINK / tags / (ip6() / TCP())[IPv6], "pass not_icmp ipv6")
    for name, tag in SOME_TAGS.items():
        for count in (3, 4, 15, 16):
            yield blocked(f"{count} {name} tags: ping", tagged(tag, count, ping()), "drop blocklist ipv4",
                          Entry(SOURCE), SOURCE)
            yield blocked(f"{count} {name} tags: ping6", tagged(tag, count, ping6()), "drop blocklist ipv6",
                          Entry(SOURCE6), SOURCE6)
            yield hostile(f"{count} {name} tags: tcp", tagged(tag, count, ip() / TCP()), "pass not_icmp ipv4")
            yield hostile(f"{count} {name} tags: tcp6", tagged(tag, count, ip6() / TCP()), "pass not_icmp ipv6")
            yield hostile(f"{count} {name} tags: arp", tagged(tag, count, LINK / ARP()), "pass not_icmp other")
        for count in (17, 300):
            frame, hidden = tagged(tag, count, ping()), "drop too_many_tags other"
            yield Row(f"{count} {name} tags: ping", frame, hidden, DEFAULT)
            yield Row(f"{count} {name} tags: tcp", tagged(tag, count, ip() / TCP()), hidden, DEFAULT)
            yield Row(f"{count} {name} tags: whether it is allowed cannot be read", frame, hidden, DEFAULT,
                      allowlist=EVERYBODY)
            yield Row(f"{count} {name} tags: monitored", frame, "would_drop too_many_tags other",
                      DEFAULT._replace(monitor=True))
            yield Row(f"{count} {name} tags: not strict", frame, "pass unclassified other", LENIENT, EVERYBODY)
    for length in range(14, 14 + 4 * 16):
        yield Row(f"16 tags cut to {length} bytes", tagged(NO_VLAN, 16, ping())[:length], "pass not_icmp other")
    yield Row("17 tags of which the last is cut", tagged(NO_VLAN, 17, ping())[:14 + 4 * 16], "drop too_many_tags other",
              DEFAULT)
    yield hostile("a tag and nothing behind it", LINK / Dot1Q(vlan=1, type=0x0800), "pass not_icmp other")
    yield hostile("old QinQ ethertype", typed(0x9100) / Dot1Q(vlan=2) / ping()[IP],
                  "pass not_icmp other")
    yield hostile("ipv4 over the ethertype of ipv6", LINK / Dot1Q(vlan=1, type=0x86DD) / Raw(bytes(ping())[14:]),
                  "pass not_icmp other")


def tagged(tag, count, packet):
    """Return a frame with a tag of four bytes inserted `count` times after its addresses."""
    frame = bytes(packet)
    return frame[:12] + tag * count + frame[12:]


NO_VLAN = bytes.fromhex("81000000")
SOME_TAGS = {"priority": bytes.fromhex("8100e000"), "service": bytes.fromhex("88a80000"), "vlan": bytes.fromhex("81000005")}
TAGS = {
    "802.1Q": Dot1Q(vlan=100),
    "priority tag": Dot1Q(vlan=0, prio=7, id=1),
    "highest vlan": Dot1Q(vlan=4095),
    "802.1ad": Dot1AD(vlan=100),
    "802.1ad over 802.1Q": Dot1AD(vlan=7) / Dot1Q(vlan=8),
    "802.1Q twice": Dot1Q(vlan=7) / Dot1Q(vlan=8),
    "802.1ad twice": Dot1AD(vlan=7) / Dot1AD(vlan=8),
}


def extension_headers():
    listed = Entry(SOURCE6)
    for name, kind in EXTENSIONS.items():
        for count in (*range(1, 11), 23, 24):
            yield blocked(f"{count} {name}", chain([kind] * count), "drop blocklist ipv6", listed, SOURCE6)
        for count in (1, 8, 9, 24):
            yield hostile(f"{count} {name} and tcp", chain([kind] * count, last=6, payload=bytes(TCP())),
                          "pass not_icmp ipv6")
        for count in (25, 175):
            yield blocked(f"{count} {name}", chain([kind] * count), "drop blocklist ipv6", listed, SOURCE6)
            yield Row(f"{count} {name}: not strict", chain([kind] * count), "pass unclassified ipv6", LENIENT, EVERYBODY)
        yield hostile(f"24 {name} and nothing", chain([kind] * 24, payload=b""), "pass malformed ipv6")
        yield hostile(f"25 {name}, cut in the last but one", bytes(chain([kind] * 25, payload=b""))[:-9],
                      "pass malformed ipv6")
        yield hostile(f"{name} and an echo in the data of udp", chain([kind], last=17), "pass not_icmp ipv6")
        yield hostile(f"{name} and nothing", chain([kind], payload=b""), "pass malformed ipv6")
    yield from unclassified("one destination options header too many", chain([60] * 25))
    yield from unclassified("25 destination options and tcp", chain([60] * 25, last=6, payload=bytes(TCP())))
    yield from unclassified("175 headers of all kinds", chain([*EXTENSIONS.values()] * 21 + [0] * 7))
    for name, kind in EXTENSIONS.items():
        if kind != 44:  # the only header without a length field
            for words in (1, 2, 31, 127):
                yield blocked(f"{name}, longer by {words}", chain([kind], words=words), "drop blocklist ipv6",
                              listed, SOURCE6)
            yield hostile(f"{name} one byte beyond the end", bytes(chain([kind], words=3, payload=b""))[:-1],
                          "pass malformed ipv6")
            yield hostile(f"{name} claiming 255", ip6(nh=kind) / Raw(bytes([58, 255]) + bytes(100)),
                          "pass malformed ipv6")
    yield blocked("the longest header there is", chain([60], words=255), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("eight long headers", chain([0, 60, 43, 44, 51, 60, 135, 139], words=20), "drop blocklist ipv6",
                  listed, SOURCE6)
    yield blocked("one of each", chain(list(EXTENSIONS.values())), "drop blocklist ipv6", listed, SOURCE6)
    several = IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=[STRANGER6])
    yield blocked("as scapy builds them", ip6() / several / IPv6ExtHdrFragment() / ICMPv6EchoRequest(),
                  "drop blocklist ipv6", listed, SOURCE6)
    yield Row("router alert before a listener report",
              ip6(src="fe80::7", hlim=1) / IPv6ExtHdrHopByHop() / ICMPv6MLReport(), "pass protected ipv6")
    yield Row("the type is behind the headers", chain([0, 60], payload=bytes(ip6() / ICMPv6EchoReply())[54:]),
              "pass type ipv6", DROP_PING)
    # The length of an authentication header has another unit than that of the other headers.
    yield blocked("authentication header of five words", chain([51], words=3), "drop blocklist ipv6", listed, SOURCE6)


def ipv6_fragments():
    listed = Entry(SOURCE6)

    def piece(following=58, offset=0, more=True, data=ICMP6_ECHO):
        return ip6(nh=44) / Raw(fragment(following, offset, more) + data)

    yield blocked("first fragment from a listed address", piece(), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("atomic fragment from a listed address", piece(more=False), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("later fragment from a listed address", piece(offset=1), "drop blocklist ipv6", listed, SOURCE6)
    yield blocked("last fragment from a listed address", piece(offset=8191, more=False), "drop blocklist ipv6",
                  listed, SOURCE6)
    for bit in range(13):
        yield Row(f"bit {bit} of the offset makes a later fragment", piece(offset=1 << bit),
                  "pass type ipv6", DROP_PING)
    yield blocked("later fragment without a byte of data", piece(offset=1, data=b""), "drop blocklist ipv6",
                  listed, SOURCE6)
    yield blocked("later fragment from an unlisted address", piece(offset=1), "pass type ipv6", Entry(STRANGER6))
    yield Row("later fragment where policy drops pings", piece(offset=1), "pass type ipv6", DROP_PING)
    yield Row("later fragment under policy drop", piece(offset=1), "drop policy_drop ipv6")
    yield Row("later fragment where policy passes all types", piece(offset=1), "pass policy_pass ipv6", PASS_ALL)
    yield Row("later fragment has no type, whatever its bytes say", piece(offset=1, data=b"\x80" * 16),
              "pass type ipv6", DROP_PING)
    yield Row("later fragment is never protected", piece(offset=1, data=b"\x87" + bytes(23)), "drop policy_drop ipv6")
    yield Row("later fragment behind another header",
              ip6(nh=60) / Raw(extension(60, 44) + fragment(58, 5) + ICMP6_ECHO), "drop policy_drop ipv6")
    yield Row("later fragment from an allowed address", piece(offset=1), "pass allowlist ipv6",
              allowlist=(listed,), by=SOURCE6)
    yield hostile("later fragment of tcp", piece(following=6, offset=1), "pass not_icmp ipv6")
    yield hostile("later fragment of udp", piece(following=17, offset=100), "pass not_icmp ipv6")
    for name, kind in EXTENSIONS.items():
        yield hostile(f"later fragment of a datagram that goes on with {name}", piece(following=kind, offset=1),
                      "pass not_icmp ipv6")
    yield hostile("first fragment of tcp", piece(following=6, data=bytes(TCP())), "pass not_icmp ipv6")
    yield Row("reserved bits of the offset are not the offset",
              ip6(nh=44) / Raw(bytes([58, 255, 0, 6]) + bytes(4) + bytes(ICMPv6EchoReply()) + bytes(8)),
              "pass type ipv6", DROP_PING)


def unclassified(name, packet):
    """Yield rows for a packet of which only the addresses can be read."""
    listed, served = Entry(SOURCE6), ((str(ipaddress.ip_network((SOURCE6, 64), strict=False)[0]), Known(6, 0.5, 30)),)
    limited = Options(ratelimit_pps=5)
    yield Row(f"{name}: of nobody", packet, "pass unclassified ipv6", DEFAULT)
    yield blocked(f"{name}: from a listed address", packet, "drop blocklist ipv6", listed, SOURCE6)
    yield Row(f"{name}: from an allowed address", packet, "pass allowlist ipv6", UNPROTECTED, allowlist=(listed,),
              by=SOURCE6)
    yield Row(f"{name}: where policy drops pings", packet, "drop policy_drop ipv6", DROP_PING)
    yield Row(f"{name}: where policy drops some other type", packet, "drop policy_drop ipv6",
              Options(policy="drop", icmp_types=frozenset({("ipv4", 13)})))
    yield Row(f"{name}: beyond the rate limit", packet, "drop ratelimit ipv6", limited, sources=served)
    yield Row(f"{name}: within the rate limit", packet, "pass unclassified ipv6", limited)
    yield Row(f"{name}: monitored", packet, "would_drop policy_drop ipv6", MONITOR)
    yield Row(f"{name}: not strict", packet, "pass unclassified ipv6", LENIENT, EVERYBODY)


def first_fragments():
    """Yield first fragments that lack some of the headers, and others that have all of them."""
    def first(behind, *before, following=60, payload=None):
        """Return a packet: headers `before`, a fragment header, bytes `behind`. `payload` is the claimed length."""
        headers = b"".join(extension(kind, then) for kind, then in zip(before, [*before[1:], 44]))
        whole = headers + fragment(following, more=True) + behind
        return ip6(nh=before[0] if before else 44, plen=len(whole) if payload is None else payload) / Raw(whole)

    options, last = extension(60, 60), extension(60, 58)
    yield from unclassified("a first fragment that ends within its headers", first(options))
    yield from unclassified("a first fragment that ends where ICMPv6 begins", first(last))
    yield from unclassified("a first fragment of nothing", first(b""))
    yield from unclassified("a first fragment with half an ICMPv6 header", first(last + ICMP6_ECHO[:4]))
    yield from unclassified("a first fragment of half an ICMPv6 header", first(ICMP6_ECHO[:4], following=58))
    yield from unclassified("a first fragment that ends within a long header", first(b"\x3a\x04" + bytes(14)))
    yield from unclassified("a first fragment behind routing and options", first(options, 43, 60))
    yield from unclassified("a first fragment with 24 headers more", first(extension(60, 60) * 24))
    yield from unclassified("a first fragment and a tag", tagged(NO_VLAN, 1, first(options)))
    # The kernel cuts off bytes after the payload. So they are not part of the datagram and cannot complete its headers.
    for name, behind in (("no next header", extension(60, 59)), ("tcp", extension(60, 6) + bytes(20)),
                         ("an echo reply", extension(60, 58) + b"\x81" + bytes(7))):
        yield from unclassified(f"a first fragment and behind its payload {name}", first(options + behind, payload=16))
    yield from unclassified("a first fragment without a payload", first(extension(60, 59), payload=0))
    yield from unclassified("a first fragment whose payload ends with the fragment header",
                            first(extension(60, 59), payload=8))
    yield hostile("a first fragment of tcp behind options", first(extension(60, 6) + bytes(TCP())), "pass not_icmp ipv6")
    yield hostile("a first fragment that ends where tcp begins", first(extension(60, 6)), "pass not_icmp ipv6")
    listed = Entry(SOURCE6)
    yield blocked("a first fragment with all headers", first(last + ICMP6_ECHO), "drop blocklist ipv6", listed, SOURCE6)
    yield Row("a first fragment with all headers, of another type", first(last + b"\x81" + ICMP6_ECHO[1:]),
              "pass type ipv6", DROP_PING)
    yield Row("a first fragment with all headers and bytes behind the payload",
              first(last + b"\x81" + ICMP6_ECHO[1:] + bytes(20), payload=24), "pass type ipv6", DROP_PING)
    atomic = ip6(nh=44, plen=0) / Raw(fragment(60) + last + b"\x81" + bytes(7))
    yield Row("an atomic fragment is whole, whatever the payload length says", atomic, "pass type ipv6", DROP_PING)
    yield hostile("an atomic fragment that ends within its headers", ip6(nh=44) / Raw(fragment(60) + options),
                  "pass malformed ipv6")
    yield Row("a jumbogram's payload length says nothing",
              ip6(nh=0, plen=0) / Raw(extension(0, 58) + ICMP6_ECHO), "drop policy_drop ipv6", DROP_PING)


def truncated():
    """Yield every length from the shortest possible frame to the whole packet. The borders are written by hand."""
    whole = {
        "ipv4": (ping(), ((34, "pass not_icmp other"), (42, "pass malformed ipv4"))),
        "ipv4 with 8 bytes of options": (
            ip(options=[Raw(b"\x01" * 8)]) / ICMP(), ((34, "pass not_icmp other"), (50, "pass malformed ipv4"))),
        "ipv4 with all options": (
            ip(options=[Raw(b"\x01" * 40)]) / ICMP(), ((34, "pass not_icmp other"), (82, "pass malformed ipv4"))),
        "ipv4 behind two tags": (
            LINK / Dot1AD() / Dot1Q() / ping()[IP], ((42, "pass not_icmp other"), (50, "pass malformed ipv4"))),
        "later fragment of ipv4 with options": (
            ip(proto=1, frag=3, options=[Raw(b"\x01" * 8)]) / Raw(bytes(9)),
            ((34, "pass not_icmp other"), (42, "pass malformed ipv4"))),
        "ipv6": (ping6(), ((54, "pass not_icmp other"), (62, "pass malformed ipv6"))),
        "ipv6 behind a tag": (
            LINK / Dot1Q() / ping6()[IPv6], ((58, "pass not_icmp other"), (66, "pass malformed ipv6"))),
        "ipv6 with three extension headers": (
            chain([0, 51, 44]), ((54, "pass not_icmp other"), (86, "pass malformed ipv6"))),
        "ipv6 with a long extension header": (
            chain([60], words=2), ((54, "pass not_icmp other"), (86, "pass malformed ipv6"))),
        "later fragment of ipv6": (
            ip6(nh=44) / Raw(fragment(58, 9) + bytes(9)), ((54, "pass not_icmp other"), (62, "pass malformed ipv6"))),
        "tcp over ipv4": (ip() / TCP(), ((34, "pass not_icmp other"), (54, "pass not_icmp ipv4"))),
        "tcp over ipv6 with an extension header": (
            chain([60], last=6, payload=bytes(TCP())),
            ((54, "pass not_icmp other"), (62, "pass malformed ipv6"), (82, "pass not_icmp ipv6"))),
    }
    for name, (packet, borders) in whole.items():
        for length in range(14, len(packet) + 1):
            fate = next((fate for border, fate in borders if length < border), None)
            if fate is None:
                family = "ipv6" if "ipv6" in name else "ipv4"
                fate = f"pass not_icmp {family}" if "tcp" in name else f"drop policy_drop {family}"
            yield Row(f"{name}, cut to {length} of {len(packet)} bytes", bytes(packet)[:length], fate, UNPROTECTED)


def near(src="fe80::7", hlim=1):
    """Return an IPv6 header as multicast listeners and their routers send it."""
    return ip6(src=src, hlim=hlim)


PROTECTED = {
    "fragmentation needed": ip() / ICMP(type=3, code=4, nexthopmtu=1280) / IP() / UDP(),
    "packet too big": ip6() / ICMPv6PacketTooBig(mtu=1280) / IPv6(),
    "router solicitation": ip6() / ICMPv6ND_RS(),
    "router advertisement": ip6() / ICMPv6ND_RA(),
    "neighbour solicitation": ip6() / ICMPv6ND_NS(tgt=DESTINATION6),
    "neighbour advertisement": ip6() / ICMPv6ND_NA(tgt=SOURCE6),
    "multicast listener query": near() / ICMPv6MLQuery(),
    "multicast listener report": near() / ICMPv6MLReport(),
    "multicast listener done": near() / ICMPv6MLDone(),
    "multicast listener report, version 2": near() / ICMPv6MLReport2(),
    "multicast listener report of who has no address yet": near(src="::") / ICMPv6MLReport2(),
}


def protected_types():
    for name, packet in PROTECTED.items():
        family = "ipv4" if IP in packet and IPv6 not in packet else "ipv6"
        source = packet[IP].src if family == "ipv4" else packet[IPv6].src
        everybody = "0.0.0.0/0" if family == "ipv4" else "::/0"
        yield Row(f"{name} under policy drop", packet, f"pass protected {family}")
        yield Row(f"{name} where policy is pass", packet, f"pass protected {family}", DEFAULT)
        yield Row(f"{name} from a listed address", packet, f"pass protected {family}", DROP_ALL, EVERYBODY)
        yield Row(f"{name} from an allowed address", packet, f"pass protected {family}", DROP_ALL, (), EVERYBODY)
        yield Row(f"{name} unprotected under policy drop", packet, f"drop policy_drop {family}", UNPROTECTED)
        yield Row(f"{name} unprotected from a listed address", packet, f"drop blocklist {family}",
                  DEFAULT._replace(protect=False), (Entry(source), Entry(everybody)), by=source)
        yield Row(f"{name} unprotected but not filtered", packet, f"pass type {family}",
                  DROP_PING._replace(protect=False))
        yield Row(f"{name} in monitor mode", packet, f"pass protected {family}", MONITOR)


def discovery():
    """Yield messages that hosts accept only from the link. Messages from further away are not protected."""
    redirect = ip6(hlim=255) / ICMPv6ND_Redirect(tgt=STRANGER6, dst=DESTINATION6)
    yield Row("a redirect", redirect, "drop policy_drop ipv6")
    yield Row("a redirect from a listed address", redirect, "drop blocklist ipv6", DEFAULT, (Entry(SOURCE6),),
              by=SOURCE6)
    yield Row("a redirect that is protected by choice", redirect, "pass protected ipv6", WITH_REDIRECTS, EVERYBODY)
    yield Row("a redirect from afar", ip6(hlim=254) / redirect[ICMPv6ND_Redirect], "drop policy_drop ipv6",
              WITH_REDIRECTS)
    for name, number in (("router solicitation", 133), ("router advertisement", 134), ("neighbour solicitation", 135),
                         ("neighbour advertisement", 136)):
        for limit in (0, 1, 64, 254):
            yield Row(f"{name} with hop limit {limit}", ip6(nh=58, hlim=limit) / Raw(bytes([number]) + bytes(23)),
                      "drop policy_drop ipv6")
        yield Row(f"{name} of code 1", ip6(nh=58, hlim=255) / Raw(bytes([number, 1]) + bytes(22)),
                  "drop policy_drop ipv6")
        yield Row(f"{name} behind options", ip6(nh=60, hlim=255) / Raw(extension(60, 58) + bytes([number]) + bytes(23)),
                  "pass protected ipv6")
    for name, number in (("query", 130), ("report", 131), ("done", 132), ("report of version 2", 143)):
        message = Raw(bytes([number]) + bytes(23))
        for limit in (0, 2, 64, 255):
            yield Row(f"listener {name} with hop limit {limit}", ip6(nh=58, src="fe80::7", hlim=limit) / message,
                      "drop policy_drop ipv6")
        for source in (SOURCE6, "fec0::1", "fe7f::1", "ff02::1", "::1", "0:0:0:1::", "0:1::"):
            yield Row(f"listener {name} from {source}", ip6(nh=58, src=source, hlim=1) / message,
                      "drop policy_drop ipv6")
        for source in ("fe80::", "febf:ffff::1"):
            yield Row(f"listener {name} from {source}", ip6(nh=58, src=source, hlim=1) / message, "pass protected ipv6")
    yield Row("packet too big from afar", ip6(hlim=3) / ICMPv6PacketTooBig(mtu=1280), "pass protected ipv6")


WITH_REDIRECTS = DROP_ALL._replace(protect_redirects=True)


def unprotected_neighbours():
    """Yield types next to the protected ones. They are not protected."""
    for code in (0, 1, 3, 5, 13):
        yield Row(f"unreachable, code {code}", ip() / ICMP(type=3, code=code), "drop policy_drop ipv4")
    yield Row("source quench, code 4", ip() / ICMP(type=4, code=4), "drop policy_drop ipv4")
    yield Row("ipv4 redirect", ip() / ICMP(type=5), "drop policy_drop ipv4")
    for number in (1, 3, 4, 127, 128, 129, 138, 139, 142, 144, 0, 255):
        yield Row(f"icmpv6 type {number}", icmp6(number), "drop policy_drop ipv6")
    for number in (2, 130, 133, 135, 143):
        yield Row(f"ipv4 icmp type {number}, protected in ipv6 only", ip() / ICMP(type=number), "drop policy_drop ipv4")
    yield Row("icmpv6 3/4, protected in ipv4 only", ip6() / ICMPv6TimeExceeded(code=4), "drop policy_drop ipv6")
    yield Row("any code of packet too big", ip6() / ICMPv6PacketTooBig(code=9), "pass protected ipv6")


def types():
    few = Options(policy="drop", icmp_types=frozenset({("ipv4", 13), ("ipv4", 255), ("ipv6", 139), ("ipv6", 0)}))
    none = Options(policy="drop", icmp_types=frozenset({("ipv6", 128)}))
    yield Row("default: ping meets the policy", ping(), "pass policy_pass ipv4", DEFAULT)
    yield Row("default: ping6 meets the policy", ping6(), "pass policy_pass ipv6", DEFAULT)
    yield Row("echo-request: dropped", ping(), "drop policy_drop ipv4", DROP_PING)
    yield Row("echo-request: dropped in ipv6", ping6(), "drop policy_drop ipv6", DROP_PING)
    yield Row("echo-request: the reply passes", ip() / ICMP(type=0), "pass type ipv4", DROP_PING)
    yield Row("echo-request: the reply passes in ipv6", ip6() / ICMPv6EchoReply(), "pass type ipv6", DROP_PING)
    yield Row("echo-request: ipv4 type 128 is something else", ip() / ICMP(type=128), "pass type ipv4", DROP_PING)
    yield Row("echo-request: icmpv6 type 8 is something else", icmp6(8), "pass type ipv6", DROP_PING)
    yield Row("echo-request: any code", ip() / ICMP(type=8, code=77), "drop policy_drop ipv4", DROP_PING)
    yield Row("echo-request: time exceeded passes", ip() / ICMP(type=11) / IP(), "pass type ipv4", DROP_PING)
    yield Row("echo-request: tcp passes", ip() / TCP(), "pass not_icmp ipv4", DROP_PING)
    for number in (0, 8, 12, 13, 14, 254, 255):
        fate = "drop policy_drop ipv4" if number in (13, 255) else "pass type ipv4"
        yield Row(f"icmp/13, icmp/255: type {number}", ip() / ICMP(type=number), fate, few)
    for number in (0, 1, 8, 13, 128, 138, 139, 140, 255):
        fate = "drop policy_drop ipv6" if number in (0, 139) else "pass type ipv6"
        yield Row(f"icmpv6/0, icmpv6/139: type {number}", icmp6(number), fate, few)
    yield Row("a filtered type of one family only, the other family", ping(), "pass type ipv4", none)
    yield Row("a filtered type of one family only, this family", ping6(), "drop policy_drop ipv6", none)
    for number in (0, 1, 31, 32, 63, 64, 127, 128, 191, 192, 255):
        yield Row(f"all: type {number}", ip() / ICMP(type=number), "drop policy_drop ipv4")
    listed = (Entry(SOURCE), Entry(SOURCE6))
    yield Row("a listed source loses types that are not filtered", ip() / ICMP(type=0), "drop blocklist ipv4",
              DROP_PING, listed, by=SOURCE)
    yield Row("a listed source loses types that are not filtered, ipv6", ip6() / ICMPv6EchoReply(),
              "drop blocklist ipv6", DROP_PING, listed, by=SOURCE6)


def codes():
    """Yield types that are filtered with one code only, and a type given with and without a code."""
    port = Options(policy="drop", icmp_types=frozenset({("ipv4", 3, 3), ("ipv6", 1, 4), ("ipv4", 11), ("ipv4", 11, 9)}))
    yield Row("icmp/3/3: port unreachable", ip() / ICMP(type=3, code=3) / IP() / UDP(), "drop policy_drop ipv4", port)
    for code in (0, 1, 2, 4, 13, 131, 255):
        yield Row(f"icmp/3/3: code {code}", ip() / ICMP(type=3, code=code), "pass type ipv4",
                  port._replace(protect=False))
    yield Row("icmp/3/3: type 4, code 3", ip() / ICMP(type=4, code=3), "pass type ipv4", port)
    yield Row("icmp/3/3: in ipv6", icmp6(3, 3), "pass type ipv6", port)
    yield Row("icmpv6/1/4: port unreachable", icmp6(1, 4), "drop policy_drop ipv6", port)
    yield Row("icmpv6/1/4: no route", icmp6(1, 0), "pass type ipv6", port)
    yield Row("icmpv6/1/4: in ipv4", ip() / ICMP(type=1, code=4), "pass type ipv4", port)
    for code in (0, 1, 9, 255):
        yield Row(f"icmp/11 beside icmp/11/9: code {code}", ip() / ICMP(type=11, code=code), "drop policy_drop ipv4",
                  port)
    yield Row("a later fragment has no code", ip(proto=1, frag=1) / ICMP(type=3, code=3), "pass type ipv4", port)


def expiry():
    """Yield entries with an expiry on either side. Times are of the boot clock."""
    over, soon = 1, 2**62
    for name, packet, family, me, net, wider in (
        ("ipv4", ping(), "ipv4", SOURCE, "198.51.100.0/24", "198.51.0.0/16"),
        ("ipv6", ping6(), "ipv6", SOURCE6, "2001:db8:1::/48", "2001:db8::/32"),
    ):
        for what in (me, net):
            yield blocked(f"{name}: {what} is over", packet, f"pass policy_pass {family}", Entry(what, until=(over, None)))
            yield blocked(f"{name}: {what} still holds", packet, f"drop blocklist {family}",
                          Entry(what, until=(soon, None)), what)
            yield blocked(f"{name}: {what} holds to the end of the clock", packet, f"drop blocklist {family}",
                          Entry(what, until=(2**64 - 2, None)), what)
            yield blocked(f"{name}: {what} holds as a destination only", packet, f"pass policy_pass {family}",
                          Entry(what, "both", (over, soon)))
            yield blocked(f"{name}: {what} holds as a source only", packet, f"drop blocklist {family}",
                          Entry(what, "both", (soon, over)), what)
            yield Row(f"{name}: {what} was allowed", packet, f"drop policy_drop {family}", DROP_ALL,
                      (), (Entry(what, until=(over, None)),))
            yield Row(f"{name}: {what} is still allowed", packet, f"pass allowlist {family}", DROP_ALL,
                      (Entry(what),), (Entry(what, until=(soon, None)),), what)
        yield Row(f"{name}: what is over hides no network around it", packet, f"drop blocklist {family}", DEFAULT,
                  (Entry(me, until=(over, None)), Entry(net, "both", (over, soon)), Entry(wider)), by=wider)
    yield blocked("the destination is over", ping(), "pass policy_pass ipv4", Entry(DESTINATION, "dst", (None, over)))
    yield blocked("the destination still holds", ping(), "drop blocklist ipv4", Entry(DESTINATION, "dst", (None, soon)),
                  DESTINATION)


def rate_limit():
    """Yield one more packet of a known source. The limit is five per second. A source is blocked for a minute."""
    limited = Options(ratelimit_pps=5)
    for family, packet, tcp, name, other, reply in (
        ("ipv4", ping(), ip() / TCP(), SOURCE, STRANGER, ip() / ICMP(type=0)),
        ("ipv6", ping6(), ip6() / TCP(), "2001:db8:1::", "2001:db8:2::", ip6() / ICMPv6EchoReply()),
    ):
        def known(title, expect, *state, source=name, frame=packet, family=family, options=limited, **more):
            return Row(f"{family}: {title}", frame, f"{expect} {family}", options,
                       sources=((source, Known(*state)),), **more)

        serving = (6, 0.5, 30)
        yield known("the last that may pass", "pass policy_pass", 4)
        yield known("the first too many", "drop ratelimit", 5)
        yield known("too many of somebody else", "pass policy_pass", 5, source=other)
        yield known("the second is nearly over", "drop ratelimit", 5, 0.5)
        yield known("the second is over", "pass policy_pass", 5, 1.5)
        yield known("the second was over long ago", "pass policy_pass", 5, 9)
        yield known("another CPU was a little ahead", "drop ratelimit", 5, -0.1)
        yield known("still serving its time", "drop ratelimit", *serving)
        yield known("still serving its time, in another second", "drop ratelimit", 1, 9, 30)
        yield known("has served its time", "pass policy_pass", 6, 9, -0.5)
        yield known("serving its time, and another type", "pass type", *serving, frame=reply)
        yield known("serving its time, and tcp", "pass not_icmp", *serving, frame=tcp)
        yield known("serving its time, and allowed", "pass allowlist", *serving,
                    allowlist=(Entry(str(packet[1].src)),), by=str(packet[1].src))
        yield known("serving its time, and blocked", "drop blocklist", *serving,
                    blocklist=(Entry(str(packet[1].src)),), by=str(packet[1].src))
        yield known("too many under policy drop", "drop ratelimit", 5, options=limited._replace(policy="drop"))
        yield known("not too many under policy drop", "drop policy_drop", 4, options=limited._replace(policy="drop"))
        yield known("monitor: too many", "would_drop ratelimit", 5, options=limited._replace(monitor=True))
    blocked4 = ((SOURCE, Known(6, 0.5, 30)),)
    yield Row("a later fragment of who serves its time", ip(proto=1, frag=9), "pass type ipv4", limited,
              sources=blocked4)
    yield Row("what cannot be read of who serves its time", bytes(ping())[:41], "pass malformed ipv4", limited,
              sources=blocked4)
    every = limited._replace(icmp_types=EVERY_TYPE)
    yield Row("fragmentation needed of who serves its time", ip() / ICMP(type=3, code=4), "pass protected ipv4", every,
              sources=blocked4)
    for prefix, inside, outside in ((64, "2001:db8:1::ffff:1", "2001:db8:1:1::7"), (128, SOURCE6, "2001:db8:1::6"),
                                    (33, "2001:db8:7fff:ffff::1", "2001:db8:8000::1")):
        first = str(ipaddress.ip_network((inside, prefix), strict=False).network_address)
        options = limited._replace(ratelimit_ipv6_prefix=prefix)
        for source, expect in ((inside, "drop ratelimit ipv6"), (outside, "pass policy_pass ipv6")):
            yield Row(f"/{prefix}: {source} where {first} has sent too much", ping6(src=source), expect, options,
                      sources=((first, Known(5)),))


def order_of_lists():
    for packet, family, me, net in ((ping(), "ipv4", SOURCE, "198.51.100.0/24"),
                                    (ping6(), "ipv6", SOURCE6, "2001:db8:1::/48")):
        for name, block, allow, by in (
            ("allowed and blocked as address", me, me, me),
            ("blocked as address, allowed as network", me, net, net),
            ("blocked as network, allowed as address", net, me, me),
            ("blocked and allowed as network", net, net, net),
        ):
            yield Row(f"{family}: {name}", packet, f"pass allowlist {family}", DROP_ALL,
                      (Entry(block),), (Entry(allow),), by)
        yield Row(f"{family}: allowed from the policy", packet, f"pass allowlist {family}", DROP_ALL,
                  (), (Entry(me),), me)
        yield Row(f"{family}: somebody else is allowed", packet, f"drop policy_drop {family}", DROP_ALL, (),
                  (Entry(STRANGER), Entry(STRANGER6)))
        yield Row(f"{family}: blocked before the policy says drop", packet, f"drop blocklist {family}", DROP_ALL,
                  (Entry(me),), (), me)
    yield Row("source blocked, destination allowed", ping(), "pass allowlist ipv4", DROP_ALL,
              (Entry(SOURCE),), (Entry(DESTINATION, "dst"),), DESTINATION)
    yield Row("malformed from an allowed address", bytes(ping())[:40], "pass malformed ipv4", DROP_ALL, (), EVERYBODY)
    yield Row("tcp from an allowed address", ip() / TCP(), "pass not_icmp ipv4", DROP_ALL, (), EVERYBODY)


def directions():
    """Yield each direction with packets from, to and past the entry: address and network, in both families."""
    families = (
        ("ipv4", ping, SOURCE, DESTINATION, STRANGER, "198.51.100.0/24"),
        ("ipv6", ping6, SOURCE6, DESTINATION6, STRANGER6, "2001:db8:1::/48"),
    )
    for family, packet, me, other, stranger, network in families:
        kept, lost = f"pass policy_pass {family}", f"drop blocklist {family}"
        for listed in (me, network):
            for direction, from_me, to_me in (("src", lost, kept), ("dst", kept, lost), ("both", lost, lost)):
                entry, title = Entry(listed, direction), f"{listed} direction {direction}"
                for name, frame, fate in (
                    ("from it", packet(src=me, dst=other), from_me),
                    ("to it", packet(src=other, dst=me), to_me),
                    ("past it", packet(src=stranger, dst=other), kept),
                ):
                    yield blocked(f"{title}: {name}", frame, fate, entry, listed if fate == lost else None)
                allow = kept.replace("policy_pass", "allowlist")
                for name, frame, matched in (
                    ("from it", packet(src=me, dst=other), direction != "dst"),
                    ("to it", packet(src=other, dst=me), direction != "src"),
                ):
                    yield Row(f"{title}: allowed {name}", frame, allow if matched else f"drop policy_drop {family}",
                              DROP_ALL, (), (entry,), listed if matched else None)


def networks():
    for prefix, inside, outside in (
        ("198.51.100.0/24", "198.51.100.255", "198.51.101.0"),
        ("198.51.100.0/25", "198.51.100.127", "198.51.100.128"),
        ("198.51.100.6/31", "198.51.100.7", "198.51.100.8"),
        ("128.0.0.0/1", "255.255.255.255", "127.255.255.255"),
        ("198.0.0.0/7", "199.255.255.255", "200.0.0.0"),
        ("198.48.0.0/13", "198.55.255.255", "198.56.0.0"),
    ):
        yield blocked(f"{prefix}: inside", ping(src=inside), "drop blocklist ipv4", Entry(prefix), prefix)
        yield blocked(f"{prefix}: outside", ping(src=outside), "pass policy_pass ipv4", Entry(prefix))
        yield blocked(f"{prefix}: tcp from inside", ip(src=inside) / TCP(), "pass not_icmp ipv4", Entry(prefix))
    for prefix, inside, outside in (
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ("2001:db8::/33", "2001:db8:7fff:ffff::", "2001:db8:8000::"),
        ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"),
        ("2001:db8::/65", "2001:db8::7fff:ffff:ffff:ffff", "2001:db8::8000:0:0:0"),
        ("2001:db8::6/127", "2001:db8::7", "2001:db8::8"),
        ("8000::/1", "ffff::1", "7fff::1"),
        ("fe80::/10", "febf::1", "fec0::"),
    ):
        yield blocked(f"{prefix}: inside", ping6(src=inside), "drop blocklist ipv6", Entry(prefix), prefix)
        yield blocked(f"{prefix}: outside", ping6(src=outside), "pass policy_pass ipv6", Entry(prefix))
        yield blocked(f"{prefix}: tcp from inside", ip6(src=inside) / TCP(), "pass not_icmp ipv6", Entry(prefix))
    yield blocked("0.0.0.0/0 is every ipv4 address", ping(), "drop blocklist ipv4", Entry("0.0.0.0/0"), "0.0.0.0/0")
    yield blocked("0.0.0.0/0 is no ipv6 address", ping6(), "pass policy_pass ipv6", Entry("0.0.0.0/0"))
    yield blocked("::/0 is every ipv6 address", ping6(), "drop blocklist ipv6", Entry("::/0"), "::/0")
    yield blocked("::/0 is no ipv4 address", ping(), "pass policy_pass ipv4", Entry("::/0"))
    yield blocked("a /32 is an address", ping(), "drop blocklist ipv4", Entry(SOURCE + "/32"), SOURCE)
    yield blocked("a /128 is an address", ping6(), "drop blocklist ipv6", Entry(SOURCE6 + "/128"), SOURCE6)


def credit():
    """Yield packets that match several entries, with the entry that counts the packet."""
    wide, middle, narrow = "198.0.0.0/8", "198.51.0.0/16", "198.51.100.0/24"
    goes_to = "192.0.2.0/24"

    def credited(name, by, *entries):
        return Row(name, ping(), "drop blocklist ipv4", DEFAULT, tuple(Entry(*entry) for entry in entries), by=by)

    yield credited("the address before its networks", SOURCE, (SOURCE,), (narrow,), (wide,))
    yield credited("the longest network", narrow, (wide,), (narrow,), (middle,))
    yield credited("source before destination", SOURCE, (SOURCE, "src"), (DESTINATION, "dst"))
    yield credited("a network of the source before the destination's address", wide, (wide,), (DESTINATION, "dst"))
    yield credited("a shorter network of the source before a longer one of the destination", wide,
                   (wide, "src"), (goes_to, "dst"))
    yield credited("the destination when no source entry applies", DESTINATION, (SOURCE, "dst"), (DESTINATION, "dst"))
    yield credited("the destination's network", goes_to, (goes_to, "both"), (SOURCE, "dst"))
    yield credited("an address of the other direction hides no network", narrow, (SOURCE, "dst"), (narrow, "src"))
    yield credited("a longer network of the other direction hides no shorter one", wide, (narrow, "dst"), (wide, "src"))
    yield credited("two longer networks of the other direction hide no shorter one", wide,
                   (narrow, "dst"), (middle, "dst"), (wide, "both"))
    yield credited("the shorter network of the right direction hides nothing longer", narrow,
                   (narrow, "both"), (wide, "src"))
    yield credited("everybody comes last", wide, ("0.0.0.0/0", "both"), (wide, "src"))
    yield credited("the shortest behind 31 longer networks of the other direction", "0.0.0.0/0", ("0.0.0.0/0", "src"),
                   *((around(SOURCE, prefix), "dst") for prefix in range(1, 32)))
    nested = tuple(Entry(around(SOURCE6, prefix), "dst") for prefix in range(97, 128))
    yield Row("the shortest behind 31 longer networks of the other direction, ipv6", ping6(), "drop blocklist ipv6",
              DEFAULT, (*nested, Entry("::/0")), by="::/0")
    yield Row("a longer network of the other direction hides no shorter one, ipv6", ping6(), "drop blocklist ipv6",
              DEFAULT, (Entry("2001:db8:1::/64", "dst"), Entry("2001:db8::/32", "src")), by="2001:db8::/32")
    yield Row("the address before its networks, ipv6", ping6(), "drop blocklist ipv6", DEFAULT,
              (Entry("::/0", "both"), Entry(SOURCE6), Entry("2001:db8:1::/64")), by=SOURCE6)


def monitor():
    """Yield packets in monitor mode. Packets that would be dropped are counted as such, but pass."""
    listed = (Entry(SOURCE), Entry("2001:db8::/32"))
    yield Row("monitor: listed", ping(), "would_drop blocklist ipv4", MONITOR, listed, by=SOURCE)
    yield Row("monitor: listed network", ping6(), "would_drop blocklist ipv6", MONITOR, listed, by="2001:db8::/32")
    yield Row("monitor: policy", ping(), "would_drop policy_drop ipv4", MONITOR)
    yield Row("monitor: later fragment", ip(proto=1, frag=9), "would_drop policy_drop ipv4", MONITOR)
    yield Row("monitor: allowed", ping(), "pass allowlist ipv4", MONITOR, listed, listed, by=SOURCE)
    yield Row("monitor: tcp", ip() / TCP(), "pass not_icmp ipv4", MONITOR, listed)
    yield Row("monitor: malformed", bytes(ping())[:41], "pass malformed ipv4", MONITOR, listed)


SECTIONS = (
    not_icmp, ipv4, ipv4_options, ipv4_fragments, ipv6, vlan, extension_headers, ipv6_fragments, first_fragments, truncated,
    protected_types, discovery, unprotected_neighbours, types, codes, order_of_lists, directions, networks, credit, expiry, rate_limit,
    monitor, regressions,
)
ROWS = [row._replace(name=f"{section.__name__}: {row.name}") for section in SECTIONS for row in section()]
