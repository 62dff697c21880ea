# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: convert the text of a user to the keys of the indexes, and back.

A key is bytes in network byte order: 4 or 16 for an exact address; the prefix length (32 bits, host byte order) and the
address for a network. See ``schema.KEY_SIZES``.
"""

from __future__ import annotations

import heapq
import socket
import struct
from collections.abc import Collection, Iterable
from itertools import compress
from typing import NamedTuple

from ..errors import quoted

_NAMED = 3  #: how many entries a sentence names
_MAPPED = bytes(10) + b"\xff\xff"  #: ::ffff:0:0/96, IPv4 addresses written as IPv6
_AT_ONCE = 4096  #: keys that are joined at once
_PREFIX = struct.Struct("=I")


class Prefix(NamedTuple):
    """The bits that all addresses of a network have in common."""

    address: bytes  #: 4 or 16 bytes; the bits behind the prefix are zero
    length: int  #: bits; of an exact address all


def parse_entry(text: str, *, mask: bool = False) -> list[bytes]:
    """Return the key of an address or network, or the keys that cover a range like ``192.0.2.1-192.0.2.9``.

    At most 62 keys cover a range of IPv4, and 254 a range of IPv6. Raises ValueError as ``parse`` does.
    """
    first, dash, last = text.partition("-")
    return _range(parse(first), last) if dash and _packed(first) else [parse(text, mask=mask)]


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
        # The largest network that its start is aligned to and that ends within the range.
        aligned = (start & -start).bit_length() - 1 if start else size * 8
        bits = min(aligned, (end - start + 1).bit_length() - 1)
        keys.append(_key(start.to_bytes(size, "big"), size * 8 - bits))
        start += 1 << bits
    return keys


def parse(text: str, *, mask: bool = False) -> bytes:
    """Return the key of an address or network. Raises ValueError with a reason that can follow the text itself.

    With ``mask``, bits behind a prefix are set to zero instead of being refused.
    """
    address, slash, prefix = text.partition("/")
    packed = _packed(address)
    if packed and slash:
        return _network(address, packed, prefix=prefix, mask=mask)
    if packed:
        return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed
    if not address:
        raise ValueError("is empty: give an IPv4 or IPv6 address or network")
    if "%" in address:
        raise ValueError("has a zone id: leave out the % and what follows; an entry holds on every interface")
    if slash:
        raise ValueError(f"is not a network: {quoted(address)} is not an IPv4 or IPv6 address")
    raise ValueError("is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1")


def _network(address: str, packed: bytes, *, prefix: str, mask: bool) -> bytes:
    longest = len(packed) * 8
    # The length is checked first: Python refuses numbers of many digits, or takes long to convert them.
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 3) or int(prefix) > longest:
        raise ValueError(f"has no valid prefix length: write a number from 0 to {longest} behind the slash")
    length = int(prefix)
    behind = int.from_bytes(packed, "big") & ((1 << (longest - length)) - 1)
    if behind and not mask:
        import ipaddress  # only for this message

        meant = ipaddress.ip_network((packed, length), strict=False)
        raise ValueError(
            f"has bits set behind its prefix: write {meant} for the network or {address} for the one address"
        )
    return _key((int.from_bytes(packed, "big") - behind).to_bytes(len(packed), "big"), length)


def _key(packed: bytes, length: int) -> bytes:
    """Return the key of a network, which may be a single address, or IPv4 written as IPv6."""
    if len(packed) == 16 and packed.startswith(_MAPPED) and length >= 96:
        packed, length = packed[12:], length - 96
    return packed if length == len(packed) * 8 else _PREFIX.pack(length) + packed


def has_mapped(keys: Iterable[bytes]) -> bool:
    """Tell whether any of these exact addresses may be IPv4 written as IPv6. False is certain, true is not."""
    return _MAPPED in b"".join(keys)


def _packed(address: str) -> bytes:
    """Return the bytes of an address, empty if it is none. This is far quicker than the module ipaddress."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, address)
        except (OSError, ValueError):
            continue
    return b""


def display(key: bytes) -> str:
    """Return the text of a key in the canonical form."""
    if len(key) in (4, 16):
        return socket.inet_ntop(socket.AF_INET if len(key) == 4 else socket.AF_INET6, key)
    address = key[4:]
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, address)}/{_PREFIX.unpack_from(key)[0]}"


def sort_key(key: bytes) -> tuple[int, bytes, int, bytes]:
    """Return what orders keys for display: IPv4 before IPv6, by address, an address before networks that begin with it."""
    address = split(key).address
    return len(address), address, len(key), key


def split(key: bytes) -> Prefix:
    """Return the prefix of a key."""
    return Prefix(key, len(key) * 8) if len(key) in (4, 16) else Prefix(key[4:], _PREFIX.unpack_from(key)[0])


def network(address: bytes, length: int) -> bytes:
    """Return the key of the network of this prefix length around an address."""
    bits = len(address) * 8 - length
    return _key((int.from_bytes(address, "big") >> bits << bits).to_bytes(len(address), "big"), length)


def by_size(keys: list[bytes]) -> dict[int, list[bytes]]:
    """Return the keys by their size, which tells their kind: see ``schema.KIND_OF_SIZE``."""
    sizes = bytes(map(len, keys))
    if sizes.count(sizes[:1]) == len(sizes):
        return {sizes[0]: keys}
    return {size: list(compress(keys, map(size.__eq__, sizes))) for size in set(sizes)}


def joined(keys: list[bytes]) -> bytes:
    """Return the keys as one run of bytes. Joining sets aside 80 bytes for every key, so joining some thousands is quicker."""
    return b"".join(b"".join(keys[start : start + _AT_ONCE]) for start in range(0, len(keys), _AT_ONCE))


def names(keys: Collection[bytes]) -> str:
    """Name the first keys in a sentence, and say how many more there are."""
    shown = ", ".join(map(display, heapq.nsmallest(_NAMED, keys)))
    return shown + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")
