# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: from what a user writes to the keys of the indexes, and back.

A key is bytes in network byte order: 4 or 16 for an exact address; the prefix length (32 bits, host byte order) and the
address for a network. See ``schema.KEY_SIZES``.
"""

from __future__ import annotations

import heapq
import ipaddress
import socket
import struct
from collections.abc import Collection, Iterable

from ..errors import quoted

_NAMED = 3  #: how many of several a sentence names
_MAPPED = bytes(10) + b"\xff\xff"  #: ::ffff:0:0/96, IPv4 addresses written as IPv6
_AT_ONCE = 4096  #: keys
_PREFIX = struct.Struct("=I")


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
