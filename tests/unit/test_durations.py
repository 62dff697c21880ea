# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how durations are parsed, and when they end."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError

CENTURY = 100 * 365 * 86400
NANOSECONDS = 1_000_000_000


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90", 90),
        (90, 90),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("2d", 172800),
        (" 5 ", 5),
        (str(CENTURY), CENTURY),
    ],
)
def test_a_duration_is_seconds_or_has_a_unit(written, seconds):
    assert durations.parse(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0",
        "0s",
        "-5",
        "+5",
        "1.5",
        "1y",
        "1H",
        "5 m",
        "m",
        "1h30m",
        "soon",
        "\u0665",
        str(CENTURY + 1),
        "9" * 30,
        None,
    ],
)
def test_anything_else_is_refused_with_what_to_write(written):
    with pytest.raises(PingKillerError) as refusal:
        durations.checked("ttl", written)
    assert str(refusal.value) == (
        f"ttl={str(written)!r} is not a duration: write a number of seconds above 0, or one like 90s, 10m, 1h, 2d or 1w"
    )


@given(st.integers(0, 10 * CENTURY * NANOSECONDS), st.integers(1, CENTURY))
def test_an_end_is_in_time_and_not_a_second_later(now, seconds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durations, "boot_time", lambda: now)
        end = durations.until(seconds)
    assert 0 <= end - now - seconds * NANOSECONDS < NANOSECONDS
    assert end % NANOSECONDS == 0


def test_the_clock_goes_on_while_the_host_is_suspended():
    assert abs(durations.boot_time() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < NANOSECONDS
