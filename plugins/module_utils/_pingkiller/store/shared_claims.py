# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims on entries that have several owners: what each owner asks for.

The claims map is the host's and serves all lists. It has an element for each owner of such an entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection

from ..entries.claims import Claim, Claims
from ..errors import PingKillerError
from ..kernel import bpf, schema
from .claim_keys import ClaimKey, unpacked
from .owners import Owners


class SharedClaims:
    """The claims on entries of one list that have several owners."""

    def __init__(self, claims: bpf.Map, list_name: str, owners: Owners) -> None:
        self._map = claims
        self._list_name, self._list_number = list_name, schema.LISTS.index(list_name)
        self._owners = owners

    def of(self, key: bytes) -> Claims:
        """Return the claims on one entry; empty unless it has several owners."""
        found = {}
        for name, number in self._owners.numbers.items():
            value = self._map.lookup(self._claim_key(key, number))
            if value is not None:
                found[name] = _unpacked(value)
        return found

    def by_key(self) -> dict[bytes, Claims]:
        """Return all claims by the key of their entry. They include those that ``forget_strays`` would delete."""
        found: dict[bytes, Claims] = defaultdict(dict)
        for packed, value in self._map.read_all():
            claim = unpacked(packed)
            if claim.list_number == self._list_number:
                found[claim.key][self._owners.name(claim.owner)] = _unpacked(value)
        return found

    def store(self, key: bytes, claims: Claims) -> None:
        """Write the claims of an entry."""
        for name, wanted in claims.items():
            bits = sum(1 << side for side in wanted.sides)
            self._map.update(
                self._claim_key(key, self._owners.number(name)), schema.CLAIM.pack(until=wanted.until, sides=bits)
            )

    def forget(self, key: bytes, but: Collection[str] = ()) -> None:
        """Delete the claims on an entry, except those of the owners ``but``."""
        for name, number in self._owners.numbers.items():
            if name not in but:
                self._map.delete(self._claim_key(key, number))

    def forget_strays(self, is_shared: Callable[[bytes], bool]) -> None:
        """Delete the claims on entries that no longer exist, or no longer have several owners, as ``is_shared`` says."""
        for packed, _value in self._map.read_all():
            claim = unpacked(packed)
            if claim.list_number == self._list_number and not is_shared(claim.key):
                self._map.delete(packed)

    def check(self, number: int) -> None:
        """Raise PingKillerError if the map cannot hold this many more claims."""
        total = number + len(self._map.read_all()) if number else 0
        if total > schema.MAX_CLAIMS:
            raise PingKillerError(
                f"this host would have {total} claims on entries of several owners and has room for {schema.MAX_CLAIMS}: nothing was "
                f"changed; let one owner have the entries of the {self._list_name} that several want"
            )

    def _claim_key(self, key: bytes, owner: int) -> bytes:
        return ClaimKey(self._list_number, key, owner).packed()


def _unpacked(value: bytes) -> Claim:
    fields = schema.CLAIM.unpack(value)
    sides = tuple(side for side in (schema.SOURCE, schema.DESTINATION) if fields["sides"] >> side & 1)
    return Claim(sides, fields["until"])
