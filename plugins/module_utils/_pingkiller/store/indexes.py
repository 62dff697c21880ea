# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The indexes of a list: hash maps of addresses and tries of networks, from an entry's key to the slot of its record."""

from __future__ import annotations

import array
import operator
import struct
from collections.abc import Collection, Iterable

from ..entries import addresses
from ..kernel import bpf, schema


class Indexes:
    """The four indexes, by the kind of their entries. Close them after use."""

    def __init__(self, maps: dict[str, bpf.Map]) -> None:
        self._maps = maps

    def close(self) -> None:
        for index in self._maps.values():
            index.close()

    def find(self, key: bytes) -> int | None:
        """Return the slot that an index has for a key, or None.

        It may be another entry's: a trie answers with the longest network around the key, and somebody else may have
        written to the index.
        """
        value = self._maps[schema.KIND_OF_SIZE[len(key)]].lookup(key)
        return None if value is None else schema.SLOT.unpack(value)[0]

    def find_around(self, address: bytes, length: int) -> int | None:
        """Return the slot of the longest network around an address with a prefix of up to ``length`` bits, or None."""
        return self.find(schema.SLOT.pack(length) + address)

    def count(self, kind: str) -> int:
        """Return how many entries an index has. Reads all of it."""
        return len(self._maps[kind].read_columns()[1]) // schema.SLOT.size

    def read(self) -> dict[str, dict[bytes, int]]:
        """Return the content of all indexes: slots by kind and key."""
        found = {}
        for kind, size in schema.KEY_SIZES.items():
            keys, slots = self._maps[kind].read_columns()
            found[kind] = dict(
                zip(map(operator.itemgetter(0), struct.iter_unpack(f"{size}s", keys)), array.array("I", slots))
            )
        return found

    def add(self, kind: str, keys: list[bytes], slots: Iterable[int]) -> None:
        """Let the filter find entries of one kind. Raises OSError if the kernel has no memory for them."""
        self._maps[kind].update_many(addresses.joined(keys), array.array("I", slots).tobytes())

    def remove(self, kind: str, keys: Collection[bytes]) -> None:
        """Let the filter no longer find entries of one kind. Keys that are missing are skipped."""
        self._maps[kind].delete_many(addresses.joined(list(keys)))
