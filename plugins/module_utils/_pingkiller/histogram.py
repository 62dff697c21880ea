# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles of what was counted in a logarithmic histogram."""

from __future__ import annotations


def percentile(buckets: list[int], percent: int) -> int | None:
    """From a histogram whose bucket b holds 2^b to 2^(b+1) - 1, evenly spread within a bucket. None without samples."""
    rank = sum(buckets) * percent / 100
    seen = 0
    for number, count in enumerate(buckets):
        if count and seen + count >= rank:
            start = 1 << number if number else 0
            return round(start + ((1 << (number + 1)) - start) * (rank - seen) / count)
        seen += count
    return None
