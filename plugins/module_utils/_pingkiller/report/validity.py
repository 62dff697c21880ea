# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say in the words of users on which sides an entry matches, for how long, and when it last matched."""

from __future__ import annotations

from typing import NamedTuple

from .. import durations
from ..entries.claims import direction
from ..kernel import schema


class Validity(NamedTuple):
    """When an entry matches."""

    direction: str | None  #: src, dst or both; None for an expired entry
    seconds_left: int | None  #: None for an entry that never expires


def validity(untils: tuple[int, int]) -> Validity:
    """Return when an entry matches, from the end of its match on each side."""
    now = durations.boot_time()
    sides = tuple(side for side, until in enumerate(untils) if until > now)
    left = None if max(untils) == schema.FOREVER else durations.left(max(untils))
    return Validity(direction(sides) if sides else None, left)


def moment(last_seen: int) -> str | None:
    """Return the time of the last match in UTC, from CLOCK_MONOTONIC in ns. None for 0, which means never."""
    return durations.iso(durations.from_monotonic(last_seen)) if last_seen else None
