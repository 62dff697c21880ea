# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several CPUs at once lose no counts, and do not exceed a limit.

Races between two instructions are simulated: the code of the other CPU is compiled into the program, at the place where
that CPU would come in between.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest
from harness import Host, on_every_cpu
from model import SECOND, Entry, Options, Source
from packets import SOURCE, STRANGER, ip, ping, ping6
from scapy.all import ICMP, TCP

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import durations

pytestmark = pytest.mark.kernel

DROP_PING = Options(policy="drop")
PING, SIZE = bytes(ping()), len(ping())
HOUR = 3600
MANY = 1_000_000


def test_no_packet_of_an_entry_that_all_cpus_meet_is_lost(host):
    filter_, times = host.filter(DROP_PING), 1_000_000  # enough to overlap, even on a busy machine
    host.set_lists()
    host.set_lists(blocklist=(Entry(SOURCE),))
    packets = times * on_every_cpu(lambda: filter_.repeat(PING, times))
    assert host.entries() == {("entry", "blocklist", SOURCE): (packets, packets * SIZE)}


def test_every_packet_on_every_cpu_is_counted_once(host):
    """Send frames of every kind on all CPUs, which count on the same entries."""
    filter_, times = host.filter(DROP_PING, timing_sample=1), 20_000
    host.set_lists()
    host.set_lists(blocklist=(Entry(SOURCE), Entry("2001:db8::/32")), allowlist=(Entry("10.0.0.0/8"),))
    frames = [ping(), ping6(), ping(src="10.1.2.3"), ping(src=STRANGER), ip() / TCP(), ip() / ICMP(type=3, code=4)]
    before = filter_.counters()
    cpus = on_every_cpu(lambda: [filter_.repeat(bytes(frame), times) for frame in frames])
    moved = {key: tuple(new - old for new, old in zip(now, before[key])) for key, now in filter_.counters().items()}
    packets = times * cpus
    assert {key: by for key, by in moved.items() if any(by)} == {
        ("reason", "blocklist", "ipv4"): (packets, packets * SIZE),
        ("reason", "blocklist", "ipv6"): (packets, packets * len(ping6())),
        ("reason", "allowlist", "ipv4"): (packets, packets * SIZE),
        ("reason", "policy_drop", "ipv4"): (packets, packets * SIZE),
        ("reason", "not_icmp", "ipv4"): (packets, packets * len(ip() / TCP())),
        ("reason", "protected", "ipv4"): (packets, packets * SIZE),
        ("entry", "blocklist", SOURCE): (packets, packets * SIZE),
        ("entry", "blocklist", "2001:db8::/32"): (packets, packets * len(ping6())),
        ("entry", "allowlist", "10.0.0.0/8"): (packets, packets * SIZE),
        ("timed", "dropped"): (3 * packets,),
        ("timed", "passed"): (3 * packets,),
    }


def test_every_cpu_has_its_own_budget_of_events_and_every_event_is_counted(host):
    filter_, budget, times = host.filter(DROP_PING, events="dropped", events_per_second=4), 4, 1000
    host.set_lists()
    before = filter_.counters()
    with host.listening():
        cpus = on_every_cpu(lambda: filter_.repeat(PING, times))
        heard = host.heard()
    after = filter_.counters()
    moved = {name: after["events", name][0] - before["events", name][0] for name in ("sent", "suppressed", "lost")}
    assert moved == {"sent": budget * cpus, "suppressed": (times - budget) * cpus, "lost": 0}
    assert len(heard) == moved["sent"]


def test_what_several_cpus_do_not_get_into_a_full_buffer_is_counted(host):
    filter_, times = host.filter(DROP_PING, events="dropped", events_per_second=MANY), 20_000
    host.set_lists()
    before = filter_.counters()
    with host.listening():  # without reading until the end
        cpus = on_every_cpu(lambda: filter_.repeat(PING, times))
        heard = len(host.heard())
    after = filter_.counters()
    sent, lost = (after["events", name][0] - before["events", name][0] for name in ("sent", "lost"))
    assert (sent, sent + lost) == (heard, times * cpus)
    assert lost > 0


@pytest.mark.parametrize("frame", [PING, bytes(ping6())], ids=["ipv4", "ipv6"])
def test_a_source_that_comes_in_on_all_cpus_passes_no_more_than_the_limit(host, frame):
    """Accept one packet less for each other CPU: if CPUs exceed the limit at the same time, all of them block."""
    pps, rounds = 2000, 100
    filter_ = host.filter(Options(), ratelimit_pps=pps, ratelimit_block_time=HOUR)
    host.set_lists()
    passed: Counter = Counter()
    for _round in range(rounds):
        filter_.set_sources({})
        moved = filter_.moved(lambda: on_every_cpu(lambda: filter_.repeat(frame, pps)))
        cpus = sum(moved.values()) // pps
        assert sum(moved.values()) == cpus * pps
        passed[moved["policy_pass"]] += 1
        (source,) = filter_.sources().values()
        assert pps < source.packets <= pps + cpus
    assert pps - cpus < min(passed) <= max(passed) <= pps, passed


def test_a_source_within_the_limit_loses_nothing_on_any_cpu(host):
    filter_, times = host.filter(Options(), ratelimit_pps=MANY, ratelimit_block_time=HOUR), 10_000
    host.set_lists()
    for _round in range(10):
        filter_.set_sources({})
        start = durations.boot_time()
        moved = filter_.moved(lambda: on_every_cpu(lambda: filter_.repeat(PING, times)))
        (source,) = filter_.sources().values()
        cpus = moved["policy_pass"] // times
        assert moved == {"policy_pass": cpus * times}
        # Every packet is counted, unless the machine was so slow that a new window began.
        assert source.packets == cpus * times or durations.boot_time() - start > SECOND


@pytest.fixture
def meeting():
    """Return a function that makes a filter with a limit of five. It puts another CPU's code after ``place``."""
    with ExitStack() as stack:

        def make(place, other_cpu):
            host = stack.enter_context(Host())
            text = host.sources["ratelimit.h"]
            assert text.count(place) == 1, f"bpf/ratelimit.h no longer has this place: {place}"
            host.sources["ratelimit.h"] = text.replace(place, place + other_cpu)
            filter_ = host.filter(Options(), ratelimit_pps=5, ratelimit_block_time=HOUR)
            host.set_lists()
            return filter_

        yield make


def test_a_source_that_another_cpu_has_met_in_this_moment_is_counted_on(meeting):
    filter_ = meeting("first.packets = 1;", "sources.update(&key, &first);")
    assert filter_.send(PING).action == "pass"
    assert filter_.sources()[SOURCE].packets == 2


OTHER_CPU = """
if ((s64)(now - source->window) < (s64)NS_PER_SECOND && source->packets + 1 > RATELIMIT_PPS)
	source->blocked_until = now + RATELIMIT_BLOCK_NS;
"""


@pytest.mark.parametrize("place", ["*(volatile u64 *)&source->packets = 1;", "*(volatile u64 *)&source->window = now;"])
def test_a_new_second_is_never_seen_with_the_packets_of_the_last_one(meeting, place):
    filter_ = meeting(place, OTHER_CPU)
    long_ago = durations.boot_time() - 2 * SECOND
    filter_.set_sources({SOURCE: Source(long_ago, 5)})
    assert filter_.send(PING).action == "pass"
    assert filter_.sources()[SOURCE].blocked_until == 0
