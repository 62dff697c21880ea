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
from collections.abc import Collection, Iterable, Iterator
from itertools import repeat
from typing import NamedTuple, TextIO

from . import durations, schema
from .errors import PingKillerError

MAX_REPORTED = 10  #: how many bad lines an error names
_MAPPED = bytes(10) + b"\xff\xff"  #: ::ffff:0:0/96, IPv4 addresses written as IPv6
_PREFIX = struct.Struct("=I")
_READ_AT_ONCE = 65536  #: characters of a list file


class Wanted(NamedTuple):
    """What is asked for one entry, apart from its address."""

    sides: tuple[int, ...]
    until: int = schema.FOREVER


class Wishes(NamedTuple):
    """The entries asked for, in the order in which they were: a million of them are no million objects but their keys."""

    keys: list[bytes]  #: may have doubles, of which the last holds
    wanted: Wanted  #: of every key
    others: dict[int, Wanted] = {}  #: of the keys at these positions instead

    def distinct(self) -> Collection[bytes]:
        """The keys without doubles; by key where not all are wanted alike."""
        # A set takes half the time of a dictionary, and doubles are rare.
        alike = not self.others and len(set(self.keys)) == len(self.keys)
        return self.keys if alike else self.by_key()

    def by_key(self) -> dict[bytes, Wanted]:
        """Without doubles."""
        if not self.others:
            return dict.fromkeys(self.keys, self.wanted)
        wanted = [self.wanted] * len(self.keys)
        for position, other in self.others.items():
            wanted[position] = other
        return dict(zip(self.keys, wanted))


def parse(text: str) -> bytes:
    """The key of an address or network. Raises ValueError with a reason that can follow the text itself."""
    address, slash, prefix = text.partition("/")
    packed = _packed(address)
    if packed and slash:
        return _network(address, packed, prefix)
    if packed:
        return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed
    if not address:
        raise ValueError("is empty: give an IPv4 or IPv6 address or network")
    if "%" in address:
        raise ValueError("has a zone id: leave out the % and what follows, an entry holds on every interface")
    if slash:
        raise ValueError(f"is not a network: {address!r} is not an IPv4 or IPv6 address")
    raise ValueError("is not an IPv4 or IPv6 address: write it like 192.0.2.1 or 2001:db8::1")


def _network(address: str, packed: bytes, prefix: str) -> bytes:
    longest = len(packed) * 8
    if not (prefix.isascii() and prefix.isdigit()) or int(prefix) > longest:
        raise ValueError(f"has no valid prefix length: write a number from 0 to {longest} behind the slash")
    length = int(prefix)
    if int.from_bytes(packed, "big") & ((1 << (longest - length)) - 1):
        meant = ipaddress.ip_network((packed, length), strict=False)
        raise ValueError(
            f"has bits set behind its prefix: write {meant} for the network or {address} for the one address"
        )
    if packed[:12] == _MAPPED and len(packed) == 16 and length >= 96:
        packed, length, longest = packed[12:], length - 96, 32
    return packed if length == longest else _PREFIX.pack(length) + packed


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


def parse_all(texts: Iterable[str], wanted: Wanted) -> Wishes:
    """Raises PingKillerError naming up to ten that are wrong."""
    keys: list[bytes] = []
    errors: list[str] = []
    for text in texts:
        try:
            keys.append(parse(text))
        except ValueError as error:
            errors.append(f"ip={text!r} {error}")
    _raise_all(errors)
    if not keys:
        raise PingKillerError("ip is empty: give at least one IPv4 or IPv6 address or network")
    return Wishes(keys, wanted)


def parse_file(file: TextIO, name: str, wanted: Wanted) -> Wishes:
    """The entries of a list file: ``ADDRESS[/PREFIX] [direction=src|dst|both] [ttl=DURATION] [# comment]`` on a line each.

    ``wanted`` holds for lines that say nothing else. Raises PingKillerError naming ``name``, line and fault of up to ten
    bad lines. Lines of nothing but addresses of one family are read some thousands at once.
    """
    reader = _LineReader(name, wanted)
    before = 0
    for lines in _some_lines(file):
        plain = _plain_keys(lines)
        if plain is None:
            reader.read(lines, before)
        else:
            reader.keys += plain
        before += len(lines)
    _raise_all(reader.errors)
    return Wishes(reader.keys, wanted, reader.others)


def _some_lines(file: TextIO) -> Iterator[list[str]]:
    """The lines without their ends, so many at a time that they stay in the processor's cache."""
    rest = ""
    for text in iter(lambda: file.read(_READ_AT_ONCE), ""):
        lines = (rest + text).split("\n")
        rest = lines.pop()
        yield lines
    if rest:
        yield [rest]


def _plain_keys(lines: list[str]) -> list[bytes] | None:
    """The keys, if every line is an address of one family and nothing else."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            keys = list(map(socket.inet_pton, repeat(family), lines))
        except (OSError, ValueError):
            continue
        return None if _MAPPED in b"".join(keys) else keys
    return None


class _LineReader:
    """Reads any lines, one by one."""

    def __init__(self, name: str, wanted: Wanted) -> None:
        self.keys: list[bytes] = []
        self.others: dict[int, Wanted] = {}
        self.errors: list[str] = []
        self._name = name
        self._wanted = wanted
        self._known: dict[tuple, Wanted] = {}  # so that the same ttl on many lines is one moment

    def read(self, lines: list[str], before: int) -> None:
        """Lines of which the first has ``before`` others before it."""
        for number, line in enumerate(lines, before + 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            try:
                key = parse(words[0])
                if len(words) > 1:
                    self.others[len(self.keys)] = self._with_options(tuple(words[1:]))
                self.keys.append(key)
            except ValueError as error:
                self.errors.append(f"{self._name}, line {number}: {words[0]!r} {error}")

    def _with_options(self, words: tuple[str, ...]) -> Wanted:
        if words not in self._known:
            self._known[words] = _with_options(self._wanted, words)
        return self._known[words]


def _with_options(wanted: Wanted, words: Iterable[str]) -> Wanted:
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
