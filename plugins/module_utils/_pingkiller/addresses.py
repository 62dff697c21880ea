# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: from what a user writes to the keys of the indexes, and back.

A key is bytes in network byte order: 4 or 16 for an exact address; the prefix length (32 bits, host byte order) and the
address for a network. See ``schema.KEY_SIZES``.
"""

from __future__ import annotations

import array
import heapq
import ipaddress
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from . import schema
from .errors import quoted

_NAMED = 3  #: how many of several a sentence names
_MAPPED = bytes(10) + b"\xff\xff"  #: ::ffff:0:0/96, IPv4 addresses written as IPv6
_AT_ONCE = 4096  #: keys
_PREFIX = struct.Struct("=I")


class Wanted(NamedTuple):
    """What is asked for one entry, apart from its address."""

    sides: tuple[int, ...]
    until: int = schema.FOREVER


class Others:
    """What is wanted of the keys at some positions, in ascending order: a line with options takes 13 bytes here."""

    _SIDES = tuple(schema.DIRECTIONS.values())

    def __init__(self, items: Iterable[tuple[int, Wanted]] = ()) -> None:
        self.positions, self._sides, self._untils = array.array("I"), array.array("B"), array.array("Q")
        for position, wanted in items:
            self.add(position, wanted)

    def add(self, position: int, wanted: Wanted, number: int = 1) -> None:
        """Of so many keys from this position on, which is behind all others here."""
        self.positions.extend(range(position, position + number))
        self._sides.extend(array.array("B", [self._SIDES.index(wanted.sides)]) * number)
        self._untils.extend(array.array("Q", [wanted.until]) * number)

    def __len__(self) -> int:
        return len(self.positions)

    def items(self) -> Iterator[tuple[int, Wanted]]:
        """Equal ones are one object."""
        known: dict[tuple[int, int], Wanted] = {}
        for position, *code in zip(self.positions, self._sides, self._untils):
            code = tuple(code)
            if code not in known:
                known[code] = Wanted(self._SIDES[code[0]], code[1])
            yield position, known[code]

    def sides(self) -> set[int]:
        """All that any of them names."""
        return {side for code in set(self._sides) for side in self._SIDES[code]}


class Wishes(NamedTuple):
    """The entries asked for, in the order in which they were: a million of them are no million objects but their keys."""

    keys: list[bytes]  #: may have doubles, which are all wanted alike: see ``merged``
    wanted: Wanted  #: of every key
    others: Others = Others()  #: of the keys at these positions instead
    skipped: int = 0  #: how many lines were left out as they were no entries
    notes: tuple[str, ...] = ()  #: what a user should know of how this was read, as sentences

    def distinct(self) -> Collection[bytes]:
        """The keys without doubles; by key where not all are wanted alike."""
        # A set takes half the time of a dictionary, and doubles are rare.
        alike = not self.others and len(set(self.keys)) == len(self.keys)
        return self.keys if alike else self.by_key()

    def by_key(self) -> dict[bytes, Wanted]:
        """Without doubles."""
        if not self.others:
            return dict.fromkeys(self.keys, self.wanted)
        return dict(zip(self.keys, self.each()))

    def each(self) -> list[Wanted]:
        """What is wanted of each of the keys."""
        wanted = [self.wanted] * len(self.keys)
        for position, other in self.others.items():
            wanted[position] = other
        return wanted

    def by_wanted(self) -> dict[Wanted, list[bytes]]:
        """The keys by what is wanted of them, without doubles where that differs."""
        if not self.others:
            return {self.wanted: self.keys}
        found = defaultdict(list)
        for key, wanted in self.by_key().items():
            found[wanted].append(key)
        return dict(found)

    @classmethod
    def of(cls, groups: list[tuple[Wanted, list[bytes]]]) -> Wishes:
        """The inverse, of at least one group. No key is in two of them."""
        keys: list[bytes] = []
        others = Others()
        usual = groups[0][0]
        for wanted, alike in groups:
            if wanted != usual:
                others.add(len(keys), wanted, len(alike))
            keys += alike
        return cls(keys, usual, others)


def merged(wishes: Wishes) -> Wishes:
    """Let all doubles of a key be wanted alike, and note where they were not: the directions of all, the latest end."""
    if not wishes.others or len(set(wishes.keys)) == len(wishes.keys):
        return wishes
    keys = wishes.keys
    doubled = {key for key, number in Counter(keys).items() if number > 1}
    doubled.intersection_update(map(keys.__getitem__, wishes.others.positions))
    asked: dict[bytes, Wanted] = {}
    differing = set()
    for key, wanted in zip(keys, wishes.each()):
        if key in doubled and asked.setdefault(key, wanted) != wanted:
            asked[key] = _both(asked[key], wanted)
            differing.add(key)
    if not differing:
        return wishes
    values = enumerate(asked[key] if key in differing else wanted for key, wanted in zip(keys, wishes.each()))
    others = Others((position, wanted) for position, wanted in values if wanted != wishes.wanted)
    return wishes._replace(others=others, notes=(*wishes.notes, *_merge_notes(differing)))


def _both(one: Wanted, other: Wanted) -> Wanted:
    return Wanted(tuple(sorted({*one.sides, *other.sides})), max(one.until, other.until))


def _merge_notes(differing: Collection[bytes]) -> list[str]:
    return [
        f"more than one line asks for {names(differing)}, in different ways: for good wins over a ttl, a longer ttl over "
        f"a shorter one, and directions add up"
    ]


def parse_entry(text: str, mask: bool = False) -> list[bytes]:
    """The key of an address or network, or those of the networks that cover a range like ``192.0.2.1-192.0.2.9``.

    At most 62 cover one of IPv4, 254 one of IPv6. Raises ValueError as ``parse`` does.
    """
    first, dash, last = text.partition("-")
    return _range(parse(first), last) if dash and _packed(first) else [parse(text, mask)]


def _range(first: bytes, text: str) -> list[bytes]:
    if not _packed(text):
        raise ValueError(f"is a range to {quoted(text)}, which is not an IPv4 or IPv6 address: write both ends whole")
    last = parse(text)
    if len(first) != len(last):
        raise ValueError("is a range from one family of addresses into the other: write one range for each")
    if first > last:
        raise ValueError("is a range that ends before it begins: write the lower address first")
    size, start, end = len(first), int.from_bytes(first, "big"), int.from_bytes(last, "big")
    keys = []
    while start <= end:
        # As large as the alignment of its start and what is left of the range allow.
        aligned = (start & -start).bit_length() - 1 if start else size * 8
        bits = min(aligned, (end - start + 1).bit_length() - 1)
        keys.append(_key(start.to_bytes(size, "big"), size * 8 - bits))
        start += 1 << bits
    return keys


def parse(text: str, mask: bool = False) -> bytes:
    """The key of an address or network. Raises ValueError with a reason that can follow the text itself.

    With ``mask``, bits behind a prefix are taken for zeros instead of being refused.
    """
    address, slash, prefix = text.partition("/")
    packed = _packed(address)
    if packed and slash:
        return _network(address, packed, prefix, mask)
    if packed:
        return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed
    if not address:
        raise ValueError("is empty: give an IPv4 or IPv6 address or network")
    if "%" in address:
        raise ValueError("has a zone id: leave out the % and what follows, an entry holds on every interface")
    if slash:
        raise ValueError(f"is not a network: {quoted(address)} is not an IPv4 or IPv6 address")
    raise ValueError("is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1")


def _network(address: str, packed: bytes, prefix: str, mask: bool) -> bytes:
    longest = len(packed) * 8
    # Of a number of many digits Python makes none, or takes its time.
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 3) or int(prefix) > longest:
        raise ValueError(f"has no valid prefix length: write a number from 0 to {longest} behind the slash")
    length = int(prefix)
    behind = int.from_bytes(packed, "big") & ((1 << (longest - length)) - 1)
    if behind and not mask:
        meant = ipaddress.ip_network((packed, length), strict=False)
        raise ValueError(
            f"has bits set behind its prefix: write {meant} for the network or {address} for the one address"
        )
    return _key((int.from_bytes(packed, "big") - behind).to_bytes(len(packed), "big"), length)


def _key(packed: bytes, length: int) -> bytes:
    """The key of a network, which may be one address, or IPv4 that is written as IPv6."""
    if len(packed) == 16 and packed.startswith(_MAPPED) and length >= 96:
        packed, length = packed[12:], length - 96
    return packed if length == len(packed) * 8 else _PREFIX.pack(length) + packed


def has_mapped(keys: Iterable[bytes]) -> bool:
    """Whether any of these exact addresses may be IPv4 that is written as IPv6; never says no of one that is."""
    return _MAPPED in b"".join(keys)


def _packed(address: str) -> bytes:
    """Far quicker than ipaddress, which only words refusals here. Empty if it is no address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, address)
        except (OSError, ValueError):
            continue
    return b""


def display(key: bytes) -> str:
    """The key as a user writes it, in the canonical form."""
    if len(key) in (4, 16):
        return socket.inet_ntop(socket.AF_INET if len(key) == 4 else socket.AF_INET6, key)
    address = key[4:]
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, address)}/{_PREFIX.unpack_from(key)[0]}"


def sort_key(key: bytes) -> tuple:
    """Order of display: IPv4 before IPv6, by address, an address before the networks that begin with it."""
    address = key if len(key) in (4, 16) else key[4:]
    return len(address), address, len(key), key


def split(key: bytes) -> tuple[bytes, int]:
    """The address and the prefix length, which of an exact address is that of all its bits."""
    return (key, len(key) * 8) if len(key) in (4, 16) else (key[4:], _PREFIX.unpack_from(key)[0])


def network(address: bytes, length: int) -> bytes:
    """The key of the network of this length around an address."""
    bits = len(address) * 8 - length
    return _key((int.from_bytes(address, "big") >> bits << bits).to_bytes(len(address), "big"), length)


def joined(keys: list[bytes]) -> bytes:
    """The keys behind one another. Joining sets aside 80 bytes for each, so some thousands at a time are quicker."""
    return b"".join(b"".join(keys[start : start + _AT_ONCE]) for start in range(0, len(keys), _AT_ONCE))


def names(keys: Collection[bytes]) -> str:
    """The first of them in order, and how many more there are, for a sentence."""
    shown = ", ".join(map(display, heapq.nsmallest(_NAMED, keys)))
    return shown + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")
