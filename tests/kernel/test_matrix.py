# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every combination of features loads, and the verifier has an easy time with it."""

from __future__ import annotations

import itertools

import pytest

pytestmark = pytest.mark.kernel

MOST = 500_000  # instructions walked: half of what the verifier takes
NETWORKS = (*(f"10.{number}.0.0/16" for number in range(32)), *(f"2001:db8:{number:x}::/48" for number in range(32)))
EVENTS = [("none", ()), ("dropped", ()), ("all_icmp", ()), ("trace", ()), ("trace", NETWORKS)]


# tc_egress is the very program of tc_ingress, attached elsewhere.
@pytest.mark.parametrize("timing", [0, 100], ids=["untimed", "timed"])
@pytest.mark.parametrize("pps", [0, 5], ids=["unlimited", "limited"])
@pytest.mark.parametrize(("events", "exclude"), EVENTS, ids=["none", "dropped", "all_icmp", "trace", "trace but"])
@pytest.mark.parametrize("hook", ["xdp", "tc_ingress"])
def test_the_features_load_together(host, hook, events, exclude, pps, timing):
    size = host.loaded_size(
        hook=hook, events=events, trace_exclude=exclude, ratelimit_pps=pps, timing_sample=timing, policy="drop"
    )
    assert size < MOST


@pytest.mark.parametrize(
    ("policy", "protect", "monitor", "types"),
    itertools.product(
        ("pass", "drop"), (True, False), (True, False), (("all",), tuple(f"icmp/{n}/1" for n in range(64)))
    ),
)
def test_everything_at_once_loads_under_every_policy(host, policy, protect, monitor, types):
    size = host.loaded_size(
        policy=policy,
        protect=protect,
        monitor=monitor,
        icmp_types=types,
        events="trace",
        trace_exclude=NETWORKS,
        ratelimit_pps=1,
        timing_sample=1,
    )
    assert size < MOST
