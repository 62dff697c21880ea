# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated frames, options and lists: well formed ones, nearly well formed ones, and noise.

A frame is built from a gene: a few random bytes that make every choice. One draw per frame instead of dozens makes tens
of thousands of frames affordable. The first answer to every choice is the usual one, so hypothesis, which shrinks genes
towards zeros, ends with an ordinary frame. The answers are few and close together, so that frames match list entries.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
import struct

from hypothesis import strategies as st
from model import ECHO_REQUEST, EVERY_TYPE, EXTENSION_HEADERS, LISTENER_DISCOVERY, NEIGHBOUR_DISCOVERY, Entry, Options

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.filters.options import EVENTS
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel.schema import HOOKS

GENE_SIZE = 56
MACS = bytes.fromhex("020000000001020000000007")

# Addresses that differ in their last bits or their first bit, and a few with a special meaning.
IPV4_POOL = [bytes([10, 0, 0, last]) for last in range(8)] + [
    bytes(four) for four in ((138, 0, 0, 1), (10, 0, 1, 1), (0, 0, 0, 0), (255, 255, 255, 255), (224, 0, 0, 1))
]
IPV6_POOL = [ipaddress.ip_address("2001:db8::").packed[:15] + bytes([last]) for last in range(8)] + [
    ipaddress.ip_address(text).packed
    for text in ("a001:db8::1", "2001:db8:0:1::1", "::", "::ffff:10.0.0.1", "ff02::1", "fe80::1", "::10.0.0.1")
]

LINK_LOCAL = ipaddress.ip_address("fe80::1").packed

# Types with a meaning in one of the families, and types next to them.
PLAIN_TYPES = {0, 1, 2, 3, 4, 5, 11, 13, 31, 32, 63, 64, 127, 129, 137, 138, 139, 255}
TYPES = [8, 128, 3, *sorted(PLAIN_TYPES | NEIGHBOUR_DISCOVERY | LISTENER_DISCOVERY)]
EXTENSIONS = list(EXTENSION_HEADERS)


class Gene:
    """Choices, taken from the front of a byte string. When the string is used up, every choice is the first answer."""

    def __init__(self, gene: bytes):
        self.bytes = iter(gene)

    def byte(self) -> int:
        return next(self.bytes, 0)

    def word(self) -> int:
        return self.byte() << 8 | self.byte()

    def pick(self, *answers):
        return answers[self.byte() % len(answers)]

    def odds(self, one_in: int) -> bool:
        return self.byte() % one_in == one_in - 1

    def mostly(self, usual, *unusual):
        """Return `usual` nine times out of ten. Otherwise hardly any frame would get past its first header."""
        return self.pick(*unusual) if self.odds(10) else usual


def icmp_message(gene: Gene) -> bytes:
    number, code = gene.pick(*TYPES, gene.byte()), gene.pick(0, 0, 0, 4, 3, 255)
    # The filter reads only the first two bytes, so the checksum may be wrong. Fewer than six more bytes are too short.
    return bytes([number, code]) + gene.mostly(bytes(6), bytes(5), b"", b"\xff" * 70)


def ipv4_packet(gene: Gene) -> bytes:
    options = b"\x01" * 4 * gene.pick(0, 0, 0, 0, 1, 2, 9, 10)
    version_and_length = gene.mostly(0x45 + len(options) // 4, 0x44, 0x46, 0x4F, 0x65, gene.byte())
    flags_and_offset = gene.pick(0, 0, 0, 0x4000, 0x2000, 0x8000, 1, 0x3FFF, gene.word())
    protocol = gene.mostly(1, 6, 17, 58, 51, gene.byte())
    total_length = gene.pick(28, 0, 60, 65535)
    source, destination = gene.pick(*IPV4_POOL), gene.pick(*IPV4_POOL)
    header = struct.pack(
        "!BBHHHBBH4s4s", version_and_length, 0, total_length, 7, flags_and_offset, 64, protocol, 0, source, destination
    )
    return header + options + icmp_message(gene)


def ipv6_packet(gene: Gene) -> bytes:
    following = gene.mostly(58, 6, 17, 59, 50, 1, gene.byte())
    chain = b""
    for _ in range(gene.pick(0, 0, 0, 1, 1, 2, 3, 4, 9, 23, 24, 25)):
        # Built from the end, because each header names the next one.
        kind = gene.pick(*EXTENSIONS)
        chain = extension_header(gene, kind, following) + chain
        following = kind
    version = gene.mostly(0x60, 0x40, gene.byte())
    payload_length = gene.pick(len(chain) + 8, 0, 65535, len(chain), max(0, len(chain) - 8), 8)
    message = icmp_message(gene)
    usual = {**dict.fromkeys(NEIGHBOUR_DISCOVERY, 255), **dict.fromkeys(LISTENER_DISCOVERY, 1)}
    hop_limit = gene.mostly(usual.get(message[0], 64), 64, 255, 1, 0)
    near = IPV6_POOL if usual.get(message[0]) != 1 else (*IPV6_POOL, *[LINK_LOCAL] * 20)
    source, destination = gene.pick(*near), gene.pick(*IPV6_POOL)
    header = struct.pack("!BBHHBB16s16s", version, 0, 0, payload_length, following, hop_limit, source, destination)
    return header + chain + message


def extension_header(gene: Gene, kind: int, following: int) -> bytes:
    """Return one header of the chain, with `following` as its next header."""
    if kind == 44:
        offset = gene.mostly(gene.pick(0, 1, 6), 8, 0xFFF9, gene.word())
        return struct.pack("!BBHI", following, gene.byte(), offset, 7)
    words = gene.pick(0, 0, 0, 1, 3)
    said = gene.pick(*[words] * 29, words + 1, gene.byte())
    return bytes([following, said]) + bytes(6 + (4 if kind == 51 else 8) * words)


def whole_frame(gene: Gene) -> bytes:
    kind, packet = gene.pick((0x0800, ipv4_packet), (0x86DD, ipv6_packet))
    ethertype = gene.pick(*[kind] * 29, 0x0800, 0x86DD, gene.pick(0x0806, 0x9100, gene.word()))
    types = struct.pack("!H", ethertype)
    for _ in range(gene.pick(0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 15, 16, 17)):
        types = struct.pack("!HH", gene.pick(0x8100, 0x88A8), gene.word()) + types
    return MACS + types + packet(gene)


def mangled_frame(gene: Gene) -> bytes:
    """Return a whole frame with some bits or bytes flipped, cut at any place, or padded."""
    frame = bytearray(whole_frame(gene))
    way = gene.pick("turn", "cut", "pad", "turn and cut")
    if "turn" in way:
        for _ in range(gene.pick(1, 2, 3)):
            frame[12 + gene.word() % (len(frame) - 12)] ^= gene.pick(1, 2, 4, 8, 16, 32, 64, 128, gene.byte())
    if "cut" in way:
        del frame[14 + gene.word() % (len(frame) - 13) :]
    if way == "pad":
        frame += bytes(gene.byte())
    return bytes(frame)


def noise(gene: Gene) -> bytes:
    """Return random bytes, mostly after the start of a header that the filter reads."""
    starts = ("08004500", "86dd60000000", "8100000108004600", "88a8000086dd6f", "")
    return (MACS + bytes.fromhex(gene.pick(*starts)) + bytes(gene.bytes)).ljust(14, b"\0")


def frame(gene: bytes) -> bytes:
    answers = Gene(gene)
    build = answers.pick(*[whole_frame] * 11, *[mangled_frame] * 8, noise)
    return build(answers)


class Batch(list):
    """Frames for one program, each with the seconds that pass before it.

    The printed form leaves out the frames, because a failing test shows the one that matters.
    """

    def _repr_pretty_(self, printer, cycle):
        printer.text(f"<{len(self)} frames>")


genes = st.binary(min_size=GENE_SIZE, max_size=GENE_SIZE)


WAITS = {14: 0.4, 15: 1}  # seconds: part of a window, and a whole window


@st.composite
def batches(draw, fewest: int, most: int):
    drawn = draw(st.lists(genes, min_size=fewest, max_size=most))
    # The last byte of a gene decides the wait, because few frames use so many bytes.
    return Batch((WAITS.get(gene[-1] % 16, 0), frame(gene)) for gene in drawn)


def _entry_texts():
    """Yield every address of the pools and networks around it. There are few prefix lengths, so that networks nest."""
    for pool, prefixes in ((IPV4_POOL, (0, 1, 8, 24, 29, 30, 31)), (IPV6_POOL, (0, 1, 32, 64, 96, 125, 126, 127))):
        for packed in pool:
            address = ipaddress.ip_address(packed)
            yield str(address)
            for prefix in prefixes:
                yield str(ipaddress.ip_network((address, prefix), strict=False))


# In a list, ::ffff:10.0.0.1 is the IPv4 address. A network around it would have another meaning.
ENTRY_TEXTS = sorted({text for text in _entry_texts() if "::ffff:" not in text})

# The expiry on each side: never, long ago, or far in the future, up to the end of the clock.
untils = st.sampled_from((None, None, None, 1, 2**62, 2**64 - 2))
holding = st.tuples(st.sampled_from(("src", "dst", "both")), st.tuples(untils, untils))
lists = st.dictionaries(st.sampled_from(ENTRY_TEXTS), holding, max_size=12).map(
    lambda entries: tuple(Entry(ip, *held) for ip, held in entries.items())
)


LIMITS = (
    {"ratelimit_pps": 2},
    {"ratelimit_pps": 1, "ratelimit_ipv6_prefix": 128},
    {"ratelimit_pps": 3, "ratelimit_ipv6_prefix": 33},
    {},
)
BLOCK_TIME = 2  # seconds; batches wait at most one second at a time


def _option_sets():
    """Yield all combinations of the switches. Other options are random, because each set needs its own program."""
    die = random.Random(4)
    every = sorted(EVERY_TYPE)
    for policy, protect, monitor in itertools.product(("pass", "drop"), (True, False), (True, False)):
        codes = {(*each, die.choice((0, 3, 4))) for each in die.sample(every, 16)}
        some = frozenset({*die.sample(every, 40), *codes, ("ipv4", 3, 3), ("ipv6", 1, 4)})
        for types in (ECHO_REQUEST, EVERY_TYPE, some):
            yield Options(policy, types, protect, monitor)
            yield Options(
                policy,
                types,
                protect,
                monitor,
                **die.choice(LIMITS[:3]),
                ratelimit_block_time=BLOCK_TIME,
                **_reports(die),
                strict=die.choice((True, False)),
                protect_redirects=protect and die.choice((True, False)),
            )
    for hook, limit in itertools.product(HOOKS, LIMITS):
        yield Options(
            die.choice(("pass", "drop")),
            die.choice((EVERY_TYPE, EVERY_TYPE, some)),
            hook=hook,
            **limit,
            ratelimit_block_time=BLOCK_TIME,
            **_reports(die),
        )


def _reports(die) -> dict:
    return {"timing_sample": die.choice((0, 1)), "events": die.choice(EVENTS)}


OPTION_SETS = tuple(_option_sets())
option_sets = st.sampled_from(OPTION_SETS)
