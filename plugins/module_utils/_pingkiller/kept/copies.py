# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many keys as few bytes, for what was last taken from a list file.

Keys of one size are together, behind that size and their number (``=BI``), by columns: the first byte of every key, then the
second of every key. In a list that is sorted the first columns are runs of one byte, and runs are quickly compressed. Numbers are
in host byte order, as in keys.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Collection, Iterator
from itertools import chain

from ..entries import addresses
from ..entries.claims import by_size
from ..files import reading

_HEAD = struct.Struct("=BI")
_FEW = 16  #: keys
_SAMPLE = 65536  #: bytes at the beginning that tell whether there are runs


def pack(keys: list[bytes]) -> bytes:
    """The keys in their order, but for those of different sizes."""
    parts = []
    for size, alike in sorted(by_size(keys).items()):
        rows = addresses.joined(alike)
        parts += [_HEAD.pack(size, len(alike)), *(rows[column::size] for column in range(size))]
    return b"".join(parts)


def unpack(packed: bytes) -> list[bytes]:
    """The inverse."""
    return list(
        chain.from_iterable(chain.from_iterable(struct.iter_unpack(f"{size}s", rows)) for size, rows in _rows(packed))
    )


def may_hold(packed: bytes, keys: Collection[bytes]) -> bool:
    """Whether any of these may be among the keys: only of a few it is known without an object for every key."""
    return len(keys) > _FEW or any(
        len(key) == size and _is_row(rows, key) for size, rows in _rows(packed) for key in keys
    )


def _rows(packed: bytes) -> Iterator[tuple[int, bytearray]]:
    """The keys of each size behind one another."""
    start = 0
    while start < len(packed):
        size, number = _HEAD.unpack_from(packed, start)
        start += _HEAD.size
        rows = bytearray(size * number)
        for column in range(size):
            rows[column::size] = packed[start : start + number]
            start += number
        yield size, rows


def _is_row(rows: bytearray, key: bytes) -> bool:
    found = rows.find(key)
    while found > 0 and found % len(key):
        found = rows.find(key, found + 1)
    return found >= 0


def digest(packed: bytes) -> str:
    """By which a copy is known: nobody who writes a list can make another one of the same."""
    return hashlib.sha256(packed).hexdigest()


def compress(packed: bytes) -> bytes:
    """Or only with a checksum, in the same format, if it is not worth the time."""
    sample = packed[:_SAMPLE]
    worth_it = len(_deflate(sample, 1)) < len(sample) * 0.9
    return _deflate(packed, 1 if worth_it else 0)


def _deflate(data: bytes, level: int) -> bytes:
    compressor = zlib.compressobj(level, strategy=zlib.Z_RLE)
    return compressor.compress(data) + compressor.flush()


def decompress(data: bytes) -> bytes:
    """The inverse. Raises ValueError for what is damaged."""
    decompressor = zlib.decompressobj()
    try:
        packed = decompressor.decompress(data, reading.LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not decompressor.eof:
        raise ValueError("its end is missing, or it is longer than any copy")
    return packed
