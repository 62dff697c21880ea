# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of the maps that have an element for an owner of an entry: the claims and the comments."""

from __future__ import annotations

from typing import NamedTuple

from ..entries import addresses
from ..kernel import schema


class ClaimKey(NamedTuple):
    """Which owner's claim an element is about, and on which entry."""

    list_number: int
    key: bytes  #: the entry's
    owner: int

    def packed(self) -> bytes:
        address, length = addresses.split(self.key)
        kind = schema.KINDS.index(schema.KIND_OF_SIZE[len(self.key)])
        return schema.CLAIM_KEY.pack(
            list=self.list_number, kind=kind, prefix_length=length, owner=self.owner, address=address
        )


def unpacked(packed: bytes) -> ClaimKey:
    fields = schema.CLAIM_KEY.unpack(packed)
    kind = schema.KINDS[fields["kind"]]
    address = fields["address"][: 4 if kind.endswith("4") else 16]
    prefix = schema.SLOT.pack(fields["prefix_length"]) if kind.startswith("network") else b""
    return ClaimKey(list_number=fields["list"], key=prefix + address, owner=fields["owner"])
