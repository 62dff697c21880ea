# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a list can hold, and the refusal of a change that would leave more in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from ..errors import PingKillerError
from ..kernel import schema

if TYPE_CHECKING:
    from ..entries.plan import Change

DEFAULT_CAPACITY = 65536  #: entries of one list
MAX_CAPACITY = 4_000_000


def check_capacity(name: str, count: int, capacity: int) -> None:
    """Raise PingKillerError if a list of this capacity cannot hold this many entries."""
    if count > capacity:
        raise PingKillerError(
            f"the {name} would have {count} entries and has room for {capacity}: nothing was changed; raise max_entries of "
            f"xdp_filter (pingkiller_max_entries of the role) to {count} or more"
        )


def check_comments(count: int) -> None:
    """Raise PingKillerError if a host cannot hold this many comments of entries."""
    if count > schema.MAX_COMMENTS:
        raise PingKillerError(
            f"this host would have {count} comments of entries and has room for {schema.MAX_COMMENTS}: nothing was changed; leave "
            f"out some comments, or write them behind a # in the list file"
        )


def ipv6_lengths(changes: Iterable[Change]) -> Counter[int]:
    """Return how many IPv6 networks among the entries have which prefix length."""
    prefixes = Counter(
        key[: schema.SLOT.size] for change in changes if change.kind == "network6" for key in change.keys
    )
    return Counter({schema.SLOT.unpack(prefix)[0]: number for prefix, number in prefixes.items()})


def check_prefix_lengths(name: str, lengths: Collection[int]) -> None:
    """Raise PingKillerError if IPv6 networks have more different prefix lengths than the filter looks up in one frame."""
    if len(lengths) > schema.MAX_PREFIX_LENGTHS:
        raise PingKillerError(
            f"the {name} would have IPv6 networks of {len(lengths)} different prefix lengths and may have "
            f"{schema.MAX_PREFIX_LENGTHS}: nothing was changed; split the rarer ones into longer prefixes"
        )
