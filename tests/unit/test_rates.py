# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How counts that are read one after the other become rates."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report import rates, talkers
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.rates import Busy, Meter, Pace, Table


def timing(verdict: str, *times: int) -> dict[str, int]:
    """Return the counts of a filter that has measured these times, in ns."""
    counts = {f"{verdict}.count": len(times), f"{verdict}.sum": sum(times)}
    for each in times:
        bucket = f"{verdict}.bucket{each.bit_length() - 1}"
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def columns(*packets: int, used: bytes | None = None, start: int = 0) -> tuple[int, bytes, bytes]:
    """Return a window of a table in which these packets were counted."""
    return start, used or b"\1" * len(packets), struct.pack(f"={len(packets)}Q", *packets)


def test_rate_is_what_was_counted_since_the_reading_before_by_second():
    meter = Meter(["passed"])
    assert meter.read(10.0, {"passed": 1000}, {}).per_second == {"passed": 0.0}
    assert meter.read(12.0, {"passed": 1500}, {}).per_second == {"passed": 250.0}
    assert meter.read(12.5, {"passed": 1500}, {}).per_second == {"passed": 0.0}


def test_count_that_went_down_began_anew():
    meter = Meter(["passed"])
    meter.read(0.0, {"passed": 1000}, {})
    assert meter.read(1.0, {"passed": 5}, {}).per_second == {"passed": 5.0}


def test_history_has_one_number_a_second_however_often_one_looks():
    often, seldom = Meter(["dropped"]), Meter(["dropped"])
    for tenth in range(101):
        frequent = often.read(tenth / 10, {"dropped": tenth}, {})
    for second in (0, 5, 10):
        rare = seldom.read(float(second), {"dropped": 10 * second}, {})
    assert frequent.history["dropped"] == pytest.approx([10.0] * 10)
    assert rare.history["dropped"] == pytest.approx([10.0] * 10)


def test_history_does_not_fall_behind_if_every_reading_is_late():
    meter = Meter(["dropped"])
    for number in range(21):
        read = meter.read(number * 1.5, {"dropped": number}, {})
    assert len(read.history["dropped"]) == 30


def test_history_is_a_minute_long():
    meter = Meter(["dropped"])
    for second in range(200):
        read = meter.read(float(second), {"dropped": second * second}, {})
    assert len(read.history["dropped"]) == rates.MINUTE
    assert read.history["dropped"][-1] == 199**2 - 198**2


def test_processing_times_are_those_of_the_last_seconds_and_not_since_ever():
    meter = Meter([])
    slow = timing("passed", *[1000] * 1000)
    meter.read(0.0, {}, {})
    assert meter.read(1.0, {}, slow).times["passed"].average == 1000
    for second in range(2, 30):
        now = {name: slow.get(name, 0) + second * count for name, count in timing("passed", 16, 20).items()} | {
            "passed.bucket9": 1000
        }
        read = meter.read(float(second), {}, now)
    assert read.times["passed"].average == 18
    assert 16 <= read.times["passed"].p99 <= 32
    assert read.times["dropped"] == (0, None, None)


def test_ninety_ninth_percentile_sees_the_slow_ones():
    before, now = timing("dropped", 100), timing("dropped", 100, *[100] * 97, *[5000] * 3)
    assert rates.times(before, now, "dropped").p99 >= 4096


def test_busiest_entries_are_those_that_counted_most_since_the_reading_before():
    table = Table()
    assert table.read([columns(5, 0, 900)], 2) == [Busy(2, 900, 0), Busy(0, 5, 0)]
    assert table.read([columns(9, 1, 900)], 2) == [Busy(0, 9, 4), Busy(1, 1, 1)]
    assert table.read([columns(9, 1, 900)], 1, by_total=True) == [Busy(2, 900, 0)]


def test_entries_in_all_windows_of_a_table_are_compared():
    table = Table()
    table.read([columns(1, 0), columns(0, 0, start=2)], 9)
    assert table.read([columns(1, 0), columns(0, 7, start=2)], 9) == [Busy(3, 7, 7), Busy(0, 1, 0)]


def test_slot_that_was_freed_or_given_to_another_entry_tells_no_growth_of_the_old_one():
    table = Table()
    table.read([columns(100, 100)], 9)
    assert table.read([columns(3, 150, used=b"\1\0")], 9) == [Busy(0, 3, 3)]


def test_what_is_costly_is_read_less_often():
    pace = Pace(share=0.05)
    assert pace.due(7.0)
    pace.took(7.0, 0.2)
    assert pace.seconds == pytest.approx(4.0)
    assert not pace.due(10.9)
    assert pace.due(11.1)


def event(source: bytes, *, reason: str = "policy_pass", protocol: int = 1, monitored: int = 0) -> bytes:
    number = next(number for number, name in schema.REASONS_BY_NUMBER.items() if name == reason)
    family = schema.FAMILIES.index("ipv4" if len(source) == 4 else "ipv6")
    fields = {"source": source, "family": family, "protocol": protocol, "reason": number, "monitored": monitored}
    return schema.EVENT.pack(**fields)


def test_sources_of_icmp_are_counted_whether_or_not_they_are_dropped():
    found = talkers.Talkers()
    found.add([event(b"\1\2\3\4"), event(b"\1\2\3\4", reason="blocklist"), event(b"\5" * 16, protocol=58)])
    found.add([event(b"\1\2\3\4", protocol=17), event(b"\1\2\3\4", reason="blocklist", monitored=1)])
    assert found.take(2.0, 9, by_total=False) == [(b"\1\2\3\4", 1.5, 0.5, 3), (b"\5" * 16, 0.5, 0.0, 1)]
    assert found.take(2.0, 1, by_total=False) == [(b"\1\2\3\4", 0.0, 0.0, 3)]


def test_sources_that_never_end_take_no_more_than_so_much_memory():
    found = talkers.Talkers()
    for number in range(30_000):
        found.add([event(struct.pack("=I", number))])
    found.add([event(b"\xff" * 4)] * 5)
    assert found.take(1.0, 1, by_total=True)[0].address == b"\xff" * 4
    assert len(found.take(1.0, 10**6, by_total=True)) <= 20_000
