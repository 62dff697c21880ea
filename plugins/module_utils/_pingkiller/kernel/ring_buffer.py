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


class RingBuffer:
    """The consumer's side of a BPF ring buffer (Documentation/bpf/ringbuf.rst of the kernel).

    The first page holds the consumer's position and the second one the producer's. The data follow, mapped twice in a row so
    that a record that wraps around can be read in one piece.
    """

    def __init__(self, ring: bpf.Map) -> None:
        self.fd = ring.fd  #: for poll(2); it still belongs to the map
        self._size = ring.info.max_entries
        self._page = mmap.PAGESIZE
        self._mine = mmap.mmap(ring.fd, self._page)
        self._theirs = mmap.mmap(ring.fd, self._page + 2 * self._size, prot=mmap.PROT_READ, offset=self._page)
        self._position = memoryview(self._mine).cast("Q")
        self._produced = memoryview(self._theirs)[:8].cast("Q")

    def close(self) -> None:
        """Unmap the buffer, and leave the map open."""
        self._position.release()
        self._produced.release()
        self._mine.close()
        self._theirs.close()

    def skip(self) -> None:
        """Forget the records that are in the buffer."""
        self._position[0] = self._produced[0]

    def read(self) -> Iterator[bytes]:
        """Yield the complete records, oldest first. The room of a record is the producer's again once it has been yielded."""
        while self._position[0] < self._produced[0]:
            start = self._page + self._position[0] % self._size
            length = _HEADER.unpack_from(self._theirs, start)[0]
            if length & _BUSY:
                return
            size = length & ~_DISCARDED
            record = self._theirs[start + _HEADER.size : start + _HEADER.size + size]
            self._position[0] += (_HEADER.size + size + 7) & ~7
            if not length & _DISCARDED:
                yield record
