# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims: what the owners of an entry ask of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from .. import durations
from ..kernel import schema
from . import addresses, comments


class Claim(NamedTuple):
    """What one owner asks of one entry: the sides on which it matches, when it ends, and what is to be remembered of it."""

    sides: tuple[int, ...]  #: of ``schema.SOURCE`` and ``schema.DESTINATION``, ascending
    until: int = schema.FOREVER  #: nanoseconds on CLOCK_BOOTTIME
    comment: str = ""  #: as ``comments.checked`` returns it; empty for none


#: The claims on one entry, by owner.
Claims = dict[str, Claim]


def effective(claims: Claims) -> tuple[int, int]:
    """Return the ``until`` of each side: the latest that any owner asks for there, 0 if no owner does."""
    source, destination = (
        max((claim.until for claim in claims.values() if side in claim.sides), default=0)
        for side in (schema.SOURCE, schema.DESTINATION)
    )
    return source, destination


def direction(sides: Iterable[int]) -> str:
    """Return the name of the direction with these sides, given in ascending order."""
    wanted = tuple(sides)
    return next(name for name, value in schema.DIRECTIONS.items() if value == wanted)


def describe(key: bytes, claims: Claims) -> list[str]:
    """Describe an entry in lines of text, one for each owner."""
    address = addresses.display(key)
    return [
        f"{address} direction={direction(claims[owner].sides)} owner={owner}{_describe_expiry(claims[owner].until)}"
        f"{comments.option(claims[owner].comment)}"
        for owner in sorted(claims)
    ]


def comment_of(claims: Claims) -> str:
    """Return the comment of an entry, empty for none. Different comments of several owners follow one another."""
    return comments.made_of(
        "; ".join(dict.fromkeys(claims[owner].comment for owner in sorted(claims) if claims[owner].comment))
    )


def _describe_expiry(until: int) -> str:
    """Describe an end by the wall clock, to the minute: a prediction and its run are some seconds apart."""
    if until == schema.FOREVER:
        return ""
    seconds = time.time() + (until - durations.boot_time()) / 1e9
    return time.strftime(" until=%Y-%m-%dT%H:%MZ", time.gmtime(seconds))
