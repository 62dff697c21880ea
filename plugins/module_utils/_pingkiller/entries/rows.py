# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two long rows of keys have in common, where the one is the other with some changes.

A list that was read from a file keeps the order of the file, so what stays from one file to the next is found by comparing
long pieces of both, at a fraction of what looking up each key of one in the other takes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from itertools import compress, count

_PIECE = 1024  #: keys compared at once
_ANCHOR = 16  #: every so many keys of a row there is one by which the place is found again
_PROOF = 8  #: so many keys in a row are the same place again, fewer may be keys that have moved


def in_common(ours: list[bytes], theirs: list[bytes]) -> Iterator[tuple[int, int, int]]:
    """Pieces that are the same in both: where they begin in ours and in theirs, and their length.

    In order, and never two of one place. Need not be all that there are, as when keys were moved about.
    """
    anchors = dict(zip(theirs[::_ANCHOR], range(0, len(theirs), _ANCHOR)))
    here = there = 0
    while True:
        length = _same(ours, theirs, here, there)
        if length:
            yield here, there, length
        here, there = here + length, there + length
        for place in range(here, len(ours)):
            anchor = anchors.get(ours[place], -1)
            if anchor >= there and ours[place : place + _PROOF] == theirs[anchor : anchor + _PROOF]:
                here, there = place, anchor
                break
        else:
            return


def _same(ours: list[bytes], theirs: list[bytes], here: int, there: int) -> int:
    """How many keys are the same from these places on."""
    for length in count(0, _PIECE):
        our_piece = ours[here + length : here + length + _PIECE]
        their_piece = theirs[there + length : there + length + _PIECE]
        if len(our_piece) < _PIECE or our_piece != their_piece:
            different = compress(count(), map(operator.ne, our_piece, their_piece))
            return length + next(different, min(len(our_piece), len(their_piece)))
    return 0


def gaps(pieces: list[tuple[int, int]], length: int) -> list[range]:
    """What pieces, given by where they begin and how long they are, leave of a row."""
    starts, ends = [start for start, _size in pieces], [start + size for start, size in pieces]
    return [range(end, start) for end, start in zip([0, *ends], [*starts, length]) if end < start]
