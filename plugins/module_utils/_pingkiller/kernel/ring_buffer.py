# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from BPF ring buffers."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

from . import bpf

_HEADER = struct.Struct("=II")  #: length with two flags, offset of the page
_BUSY, _DISCARDED = 1 << 31, 1 << 30


def room(size: int) -> int:
    """Return the bytes that a record of this size takes in a ring buffer."""
    return (_HEADER.size + size + 7) & ~7


class RingBuffer:
    """A reader of a BPF ring buffer (Documentation/bpf/ringbuf.rst of the kernel). Several may read the same one.

    The first page holds the consumers' position and the second one the producer's. The data follow, mapped twice in a row so
    that records that wrap around can be read in one piece.

    Each reader has a position of its own. The kernel knows the position in the first page only, and every reader moves it up
    to where it has read. So the fastest reader gives the room back, and a slower one, or one that was stopped, holds up
    nobody. It finds its records overwritten if it is more than a buffer behind. Two readers that move the position at the
    same time may leave the earlier one, until either reads again: that is less room for the producer, and never too much.
    """

    def __init__(self, ring: bpf.Map, position: int | None = None) -> None:
        """Begin at a position that another reader of the same buffer has had, or with the records that come from now on."""
        self.fd = ring.fd  #: for poll(2); it still belongs to the map
        self.overwritten = 0  #: bytes of records that this reader did not see in time
        self._size = ring.info.max_entries
        self._page = mmap.PAGESIZE
        self._mine = mmap.mmap(ring.fd, self._page)
        self._theirs = mmap.mmap(ring.fd, self._page + 2 * self._size, prot=mmap.PROT_READ, offset=self._page)
        self._consumed = memoryview(self._mine).cast("Q")
        self._produced = memoryview(self._theirs)[:8].cast("Q")
        self.position = self._produced[0] if position is None else position

    def close(self) -> None:
        """Unmap the buffer, and leave the map open."""
        self._consumed.release()
        self._produced.release()
        self._mine.close()
        self._theirs.close()

    def skip(self) -> None:
        """Forget the records that are in the buffer."""
        self._move(self._produced[0])

    def read(self) -> list[bytes]:
        """Return the complete records since the last call, oldest first. Their room is the producer's again."""
        produced = self._produced[0]
        start = self._page + self.position % self._size
        data = self._theirs[start : start + min(produced - self.position, self._size)]
        if self._is_overtaken():
            self.overwritten += produced - self.position
            self._move(produced)
            return []
        records = list(self._split(data))
        self._move(self.position)
        return records

    def _is_overtaken(self) -> bool:
        """Whether the producer may have written over records from this position on.

        While the kernel knows a position that is not further than this one, it does not. Else it is one page early that this
        reader gives up: processors may show the bytes of a record before the position that makes room for it.
        """
        margin = self._page if self._consumed[0] > self.position else 0
        return self._produced[0] - self.position >= self._size - margin

    def _split(self, data: bytes) -> Iterator[bytes]:
        """Yield the records in these bytes up to the first one that is not complete, and go to its position."""
        at = 0
        while at < len(data):
            length = _HEADER.unpack_from(data, at)[0]
            if length & _BUSY:
                break
            size = length & ~_DISCARDED
            if not length & _DISCARDED:
                yield data[at + _HEADER.size : at + _HEADER.size + size]
            at += room(size)
        self.position += at

    def _move(self, position: int) -> None:
        """Go to a position, and give back the room up to it. Another reader may be further already."""
        self.position = position
        if not position < self._consumed[0] <= self._produced[0]:
            self._consumed[0] = position
