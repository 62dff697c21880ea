# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the pieces that two long rows of keys have in common.

A list that was read from a file keeps the file's order. So entries that stay from one version of the file to the next are
found by comparing long pieces of both rows. This costs a fraction of looking up each key of one row in the other.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from itertools import compress, count
from typing import NamedTuple

_PIECE = 1024  #: keys compared at once
_ANCHOR = 16  #: every 16th key of a row is an anchor, by which a place in the row is found again
_PROOF = 8  #: equal keys in a row that prove that an anchor is the same place; fewer may be keys that have moved


class Piece(NamedTuple):
    """Positions of keys that are the same in both rows."""

    ours: range
    theirs: range


def in_common(ours: list[bytes], theirs: list[bytes]) -> Iterator[Piece]:
    """Yield pieces that are the same in both rows, in ascending order in both; no position is in two of them.

    Keys that were moved may be missed.
    """
    anchors = dict(zip(theirs[::_ANCHOR], range(0, len(theirs), _ANCHOR)))
    here = there = 0
    while True:
        length = _same(ours, theirs, here=here, there=there)
        if length:
            yield Piece(range(here, here + length), range(there, there + length))
        here, there = here + length, there + length
        for place in range(here, len(ours)):
            anchor = anchors.get(ours[place], -1)
            if anchor >= there and ours[place : place + _PROOF] == theirs[anchor : anchor + _PROOF]:
                here, there = place, anchor
                break
        else:
            return


def _same(ours: list[bytes], theirs: list[bytes], *, here: int, there: int) -> int:
    """Return how many keys are the same from these positions on."""
    for length in count(0, _PIECE):
        our_piece = ours[here + length : here + length + _PIECE]
        their_piece = theirs[there + length : there + length + _PIECE]
        if len(our_piece) < _PIECE or our_piece != their_piece:
            different = compress(count(), map(operator.ne, our_piece, their_piece))
            return length + next(different, min(len(our_piece), len(their_piece)))
    return 0


def gaps(pieces: list[range], length: int) -> list[range]:
    """Return the positions of a row of this length that lie between pieces of it, which are in ascending order."""
    starts, ends = [piece.start for piece in pieces], [piece.stop for piece in pieces]
    return [range(end, start) for end, start in zip([0, *ends], [*starts, length]) if end < start]
