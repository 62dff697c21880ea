# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack the keys that were taken from a list file into few bytes.

Keys of one size are stored together, after their size and their number. They are stored by columns: first the first byte of
every key, then the second byte of every key. In a sorted list the first columns are runs of one byte, which are compressed
quickly. Numbers are in host byte order, as in keys.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from itertools import chain
from typing import NamedTuple

from ..entries.addresses import by_size, joined
from ..files import reading

_HEAD = struct.Struct("=BI")  #: the size of the keys in bytes, and their number
_FEW = 16  #: keys that are looked for one by one
_SAMPLE = 65536  #: bytes at the beginning that show whether compressing is worth its time


class _Rows(NamedTuple):
    """Keys of one size."""

    size: int  #: bytes
    keys: bytearray  #: one after the other


def pack(keys: list[bytes]) -> bytes:
    """Pack keys. Keys of one size stay in their order."""
    parts = []
    for size, alike in sorted(by_size(keys).items()):
        rows = joined(alike)
        parts += [_HEAD.pack(size, len(alike)), *(rows[column::size] for column in range(size))]
    return b"".join(parts)


def unpack(packed: bytes) -> list[bytes]:
    """Return the keys that ``pack`` packed."""
    fields = (struct.iter_unpack(f"{rows.size}s", rows.keys) for rows in _rows(packed))
    return list(chain.from_iterable(chain.from_iterable(fields)))


def may_hold(packed: bytes, keys: Collection[bytes]) -> bool:
    """Tell whether any of these keys may be packed. Of few keys this is exact; for many keys unpacking is quicker."""
    return len(keys) > _FEW or any(
        len(key) == rows.size and _has_row(rows.keys, key) for rows in _rows(packed) for key in keys
    )


def _rows(packed: bytes) -> Iterator[_Rows]:
    start = 0
    while start < len(packed):
        size, number = _HEAD.unpack_from(packed, start)
        start += _HEAD.size
        rows = bytearray(size * number)
        for column in range(size):
            rows[column::size] = packed[start : start + number]
            start += number
        yield _Rows(size, rows)


def _has_row(rows: bytearray, key: bytes) -> bool:
    found = rows.find(key)
    while found > 0 and found % len(key):
        found = rows.find(key, found + 1)
    return found >= 0


def digest(packed: bytes) -> str:
    """Return the name of a copy: a hash for which nobody can make another list with the same hash."""
    import hashlib  # importing it takes long, and most who read notes touch no copy

    return hashlib.sha256(packed).hexdigest()


def compress(packed: bytes) -> bytes:
    """Compress a copy, or only add a checksum in the same format if compressing is not worth its time."""
    sample = packed[:_SAMPLE]
    worth_it = len(_deflate(sample, 1)) < len(sample) * 0.9
    return _deflate(packed, 1 if worth_it else 0)


def _deflate(data: bytes, level: int) -> bytes:
    compressor = zlib.compressobj(level, strategy=zlib.Z_RLE)
    return compressor.compress(data) + compressor.flush()


def decompress(data: bytes) -> bytes:
    """Return what ``compress`` compressed. Raises ValueError if it is damaged."""
    decompressor = zlib.decompressobj()
    try:
        packed = decompressor.decompress(data, reading.LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not decompressor.eof:
        raise ValueError("its end is missing, or it is longer than any copy")
    return packed
