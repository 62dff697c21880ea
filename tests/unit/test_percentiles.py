# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test percentiles of processing times, from a histogram whose buckets double in width."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.histogram import percentile
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema

times = st.lists(st.integers(0, 2**32 - 1), min_size=1)


def histogram(samples):
    """Count samples as the filter does: bucket b holds 2^b to 2^(b+1) - 1; bucket 0 also holds 0."""
    buckets = [0] * schema.TIMING_BUCKETS
    for sample in samples:
        buckets[max(sample, 1).bit_length() - 1] += 1
    return buckets


@given(times, st.sampled_from([50, 90, 99]))
def test_a_percentile_is_in_the_bucket_of_the_sample_of_that_rank(samples, percent):
    exact = sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]
    bucket = max(exact, 1).bit_length() - 1
    assert (1 << bucket if bucket else 0) <= percentile(histogram(samples), percent) <= 1 << (bucket + 1)


@given(times)
def test_percentiles_do_not_overtake_each_other(samples):
    found = [percentile(histogram(samples), percent) for percent in (50, 90, 99)]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("buckets", "median"),
    [([0, 0, 0, 10], 12), ([4], 1), ([1, 0, 0, 0, 1], 2), ([0, 0, 1, 1], 8)],
)
def test_samples_are_taken_as_spread_evenly_within_a_bucket(buckets, median):
    assert percentile(buckets, 50) == median


def test_without_samples_there_is_no_percentile():
    assert percentile([0] * schema.TIMING_BUCKETS, 50) is None
