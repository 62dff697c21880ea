# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the search for the common parts of two long rows of keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.entries import rows


def row(*parts: range) -> list[bytes]:
    return [number.to_bytes(4, "big") for part in parts for number in part]


def in_common(ours, theirs):
    """Return the common parts. Checks that they are equal in both rows, in order, and without overlaps."""
    pieces = list(rows.in_common(ours, theirs))
    here = there = 0
    for piece in pieces:
        assert piece.ours
        assert piece.ours.start >= here
        assert piece.theirs.start >= there
        assert ours[piece.ours.start : piece.ours.stop] == theirs[piece.theirs.start : piece.theirs.stop]
        here, there = piece.ours.stop, piece.theirs.stop
    return pieces


def found(ours, theirs) -> int:
    return sum(len(piece.ours) for piece in in_common(ours, theirs))


def test_what_is_the_same_throughout_is_one_piece():
    same = row(range(5000))
    assert in_common(same, list(same)) == [(range(5000), range(5000))]


def test_nothing_in_common_is_nothing():
    assert in_common(row(range(3000)), row(range(3000, 6000))) == []
    assert in_common([], row(range(9))) == in_common(row(range(9)), []) == []


def test_a_key_more_or_less_or_another_hides_only_what_is_near():
    ours = row(range(4000))
    for theirs in (
        row(range(2000), range(9000, 9001), range(2000, 4000)),
        row(range(2000), range(2001, 4000)),
        row(range(2000), range(9000, 9001), range(2001, 4000)),
        row(range(2000), range(8000, 9500), range(2000, 4000)),
        row(range(1000), range(2000, 4000)),
    ):
        expected = len(set(ours) & set(theirs))
        assert expected - 32 <= found(ours, theirs) <= expected
        assert expected - 32 <= found(theirs, ours) <= expected


def test_single_keys_that_have_moved_far_do_not_lead_astray():
    theirs = row(range(10_000))
    ours = theirs[9000:9003] + theirs[:9000] + theirs[9003:]
    assert found(ours, theirs) > 9900


few = st.lists(st.integers(0, 30).map(lambda number: bytes([number] * 4)), max_size=60)


@given(few, few)
def test_pieces_are_the_same_in_both_and_gaps_are_the_rest(ours, theirs):
    pieces = [piece.ours for piece in in_common(ours, theirs)]
    covered = [place for piece in pieces for place in piece]
    rest = [place for gap in rows.gaps(pieces, len(ours)) for place in gap]
    assert sorted(covered + rest) == list(range(len(ours)))
