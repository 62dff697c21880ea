# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks: from what a user writes to the keys of the indexes, and back.

A key is bytes in network byte order: 4 or 16 for an exact address; the prefix length (32 bits, host byte order) and the
address for a network. See ``schema.KEY_SIZES``.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from . import durations, schema
from .errors import PingKillerError

MAX_REPORTED = 10  #: how many bad lines an error names
_MAPPED = bytes(10) + b"\xff\xff"  #: ::ffff:0:0/96, IPv4 addresses written as IPv6
_PREFIX = struct.Struct("=I")


class Wanted(NamedTuple):
    """What is asked for one entry, apart from its address."""

    sides: tuple[int, ...]
    until: int = schema.FOREVER


def parse(text: str) -> bytes:
    """The key of an address or network. Raises ValueError with a reason that can follow the text itself."""
    for family in (socket.AF_INET, socket.AF_INET6):  # far quicker than ipaddress, for the usual case
        try:
            return _unmapped(socket.inet_pton(family, text))
        except (OSError, ValueError):
            continue
    address, slash, prefix = text.partition("/")
    if not address:
        raise ValueError("is empty: give an IPv4 or IPv6 address or network")
    if "%" in address:
        raise ValueError("has a zone id: leave out the % and what follows, an entry holds on every interface")
    if not slash:
        raise ValueError("is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1")
    return _parse_network(address, prefix)


def _unmapped(packed: bytes) -> bytes:
    return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed


def _parse_network(address: str, prefix: str) -> bytes:
    try:
        packed = ipaddress.ip_address(address).packed
    except ValueError:
        raise ValueError(f"is not a network: {address!r} is not an IPv4 or IPv6 address") from None
    longest = len(packed) * 8
    if not (prefix.isascii() and prefix.isdigit()) or int(prefix) > longest:
        raise ValueError(f"has no valid prefix length: write a number from 0 to {longest} behind the slash")
    length = int(prefix)
    meant = ipaddress.ip_network((packed, length), strict=False)
    if meant.network_address.packed != packed:
        raise ValueError(
            f"has bits set behind its prefix: write {meant} for the network or {address} for the one address"
        )
    if packed[:12] == _MAPPED and len(packed) == 16 and length >= 96:
        packed, length, longest = packed[12:], length - 96, 32
    return packed if length == longest else _PREFIX.pack(length) + packed


def display(key: bytes) -> str:
    """The key as a user writes it, in the canonical form."""
    if len(key) in (4, 16):
        return socket.inet_ntop(socket.AF_INET if len(key) == 4 else socket.AF_INET6, key)
    address = key[4:]
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, address)}/{_PREFIX.unpack_from(key)[0]}"


def sort_key(key: bytes) -> tuple:
    """Order of display: IPv4 before IPv6, by address, an address before the network that begins with it."""
    address = key if len(key) in (4, 16) else key[4:]
    return len(address), address, len(key)


def parse_all(texts: Iterable[str], wanted: Wanted) -> dict[bytes, Wanted]:
    """All as keys; doubles collapse. Raises PingKillerError naming up to ten that are wrong."""
    entries: dict[bytes, Wanted] = {}
    errors: list[str] = []
    for text in texts:
        try:
            entries[parse(text)] = wanted
        except ValueError as error:
            errors.append(f"ip={text!r} {error}")
    _raise_all(errors)
    if not entries:
        raise PingKillerError("ip is empty: give at least one IPv4 or IPv6 address or network")
    return entries


def parse_lines(lines: Iterable[str], name: str, wanted: Wanted) -> dict[bytes, Wanted]:
    """The entries of a list file: ``ADDRESS[/PREFIX] [direction=src|dst|both] [ttl=DURATION] [# comment]`` on a line each.

    ``wanted`` holds for lines that say nothing else; a later line wins over an earlier one for the same address. Raises
    PingKillerError naming ``name``, line and fault of up to ten bad lines.
    """
    entries: dict[bytes, Wanted] = {}
    errors: list[str] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            entries[parse(words[0])] = _with_options(wanted, words[1:]) if len(words) > 1 else wanted
        except ValueError as error:
            errors.append(f"{name}, line {number}: {words[0]!r} {error}")
    _raise_all(errors)
    return entries


def _with_options(wanted: Wanted, words: list[str]) -> Wanted:
    for word in words:
        name, _equals, value = word.partition("=")
        if name == "direction" and value in schema.DIRECTIONS:
            wanted = wanted._replace(sides=schema.DIRECTIONS[value])
        elif name == "ttl":
            wanted = wanted._replace(until=_until(word, value))
        else:
            raise ValueError(f"is followed by {word!r}: only direction=src|dst|both and ttl=DURATION may follow")
    return wanted


def _until(word: str, value: str) -> int:
    try:
        return durations.until(durations.parse(value))
    except ValueError as error:
        raise ValueError(f"is followed by {word!r}, and {value!r} {error}") from None


def _raise_all(errors: list[str]) -> None:
    if not errors:
        return
    more = len(errors) - MAX_REPORTED
    raise PingKillerError("; ".join(errors[:MAX_REPORTED]) + (f"; and {more} more" if more > 0 else ""))
