# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles of logarithmic histograms."""

from __future__ import annotations


def percentile(buckets: list[int], percent: int) -> int | None:
    """Return a percentile of a histogram whose bucket b counts values from 2^b to 2^(b+1) - 1; None without samples.

    The values of a bucket are taken as evenly spread.
    """
    rank = sum(buckets) * percent / 100
    seen = 0
    for number, count in enumerate(buckets):
        if count and seen + count >= rank:
            start = 1 << number if number else 0
            return round(start + ((1 << (number + 1)) - start) * (rank - seen) / count)
        seen += count
    return None
