# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles out of a histogram of powers of two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import facts, schema


@pytest.mark.parametrize(
    ("buckets", "percent", "nanoseconds"),
    [
        ({}, 50, None),
        ({5: 1}, 50, 48),  # the middle of 32 to 63
        ({5: 100}, 99, 64),
        ({5: 100}, 90, 61),
        ({0: 10}, 50, 1),
        ({0: 10}, 10, 0),
        ({4: 50, 6: 50}, 50, 32),
        ({4: 50, 6: 50}, 90, 115),  # four fifths of 64 to 127
        ({4: 99, 20: 1}, 90, 31),
        ({4: 99, 20: 1}, 99, 32),
        ({31: 1}, 50, 3 << 30),
    ],
)
def test_a_percentile_is_read_off_the_histogram(buckets, percent, nanoseconds):
    assert facts.percentile([buckets.get(number, 0) for number in range(schema.TIMING_BUCKETS)], percent) == nanoseconds


@given(st.lists(st.integers(0, 1000), min_size=schema.TIMING_BUCKETS, max_size=schema.TIMING_BUCKETS).filter(any))
def test_a_percentile_lies_in_the_bucket_that_holds_it(buckets):
    times = [number for number, count in enumerate(buckets) for _sample in range(count)]
    found = [facts.percentile(buckets, percent) for percent in (50, 90, 99)]
    assert found == sorted(found)
    for percent, value in zip((50, 90, 99), found):
        bucket = times[-(-len(times) * percent // 100) - 1]
        assert (1 << bucket if bucket else 0) <= value <= 1 << bucket + 1
