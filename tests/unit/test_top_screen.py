# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pingkiller top`` writes on a screen of which size."""

from __future__ import annotations

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import tables
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import keys, screen, top_screen
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command.top_screen import Heard, View
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.rates import Rates, Times
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.sampling import (
    BusyEntry,
    FilterNow,
    ListNow,
    Look,
    Source,
)
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.report.talkers import Talker

SIZES = ((80, 24), (200, 60), (40, 10), (20, 4), (20, 2), (1, 1))


def a_filter(name="eth0", mode="native", lent=None, **options):
    per_second = {"passed": 1200.0, "dropped": 3.5, "would_drop": 0.0, "blocklist": 3.5, "not_icmp": 1200.0}
    history = {"passed": [float(second) for second in range(60)], "dropped": [0.0, 3.5], "would_drop": []}
    times = {"passed": Times(5, 61, 230), "dropped": Times(0, None, None)}
    return FilterNow(name, mode, {"policy": "pass", **options}, lent or {}, Rates(1.0, per_second, history, times))


def entry(number, rate=0.0, packets=1):
    return BusyEntry(bytes((203, 0, 113, number)), ["inventory"], "src", None, rate, packets)


def a_look(*filters, entries=(), sources=()):
    blocklist = ListNow(len(entries), 65536, list(entries), 0.0)
    return Look(0.0, list(filters), {"blocklist": blocklist, "allowlist": ListNow(0, 65536, [], 0.0)}, list(sources))


def text(look, view=View(), heard=Heard(), columns=80, rows=24, blocks=True, interval=1.0):
    found = top_screen.lines(look, heard, view, interval=interval, columns=columns, rows=rows, blocks=blocks)
    return ["".join(piece for piece, _style in line) for line in found]


def first_words(lines):
    return [line.split()[0] for line in lines if line.startswith("203.0.113")]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("filters", [0, 1, 2, 20])
def test_screen_is_never_overfull(columns, rows, filters):
    look = a_look(
        *(a_filter(f"eth{number}") for number in range(filters)),
        entries=[entry(number) for number in range(200)],
        sources=[Source("eth0", "192.0.2.1", 3, 50, 0)] * 100,
    )
    heard = Heard([Talker(bytes(4), 1.0, 0.0, 1)] * 100)
    for view in (View(), View(helping=True), View(first=190), View(message="refused " * 40)):
        found = text(look, view, heard, columns=columns, rows=rows)
        assert len(found) <= rows
        drawn = [screen.painted([(line, screen.RED)], columns) for line in found]
        assert all(tables.width(each.replace("\x1b[31m", "").replace("\x1b[0m", "")) <= columns for each in drawn)


def test_a_filter_is_shown_with_mode_policy_rates_reasons_and_times():
    found = "\n".join(text(a_look(a_filter(ratelimit_pps=50))))
    assert "eth0  native  policy pass  limit 50 a second" in found
    assert "1,200     61 ns   230 ns" in found
    assert "dropped by blocklist 3.5  passed by not_icmp 1,200" in found
    assert "would drop" not in found


def test_monitor_mode_is_told():
    found = "\n".join(text(a_look(a_filter(monitor=True))))
    assert "monitors only and drops nothing" in found
    assert "  would drop " in found


def test_filter_whose_program_is_gone_is_told():
    assert "eth0  not attached" in "\n".join(text(a_look(a_filter(mode="none"))))


def test_host_without_a_filter_is_told_in_one_line():
    found = text(a_look())
    assert [line for line in found[1:-1] if line] == ["no filter on this host: waiting for one"]


def test_many_filters_get_a_line_each():
    found = text(a_look(*(a_filter(f"eth{number}") for number in range(9))))
    assert [line.split()[0] for line in found if line.startswith("eth")] == [f"eth{number}" for number in range(9)]


def test_busiest_entries_and_sources_are_seen_beside_four_filters_on_a_small_screen():
    filters = [a_filter(f"eth{number}", monitor=True) for number in range(4)]
    source = Source("eth0", "192.0.2.1", 3, 50, 0)
    found = text(a_look(*filters, entries=[entry(number) for number in range(9)], sources=[source] * 9))
    assert sum(line.startswith("203.0.113.") for line in found) >= 1
    assert sum(line.startswith("192.0.2.1") for line in found) >= 1


def test_reasons_go_before_histories_do():
    filters = [a_filter(f"eth{number}") for number in range(4)]
    assert not any("dropped by blocklist" in line for line in text(a_look(*filters), rows=19))
    assert sum("█" in line for line in text(a_look(*filters), rows=19)) == 8
    assert sum("dropped by blocklist" in line for line in text(a_look(*filters), rows=21)) == 4


def test_line_as_wide_as_the_terminal_keeps_its_last_character(capsys):
    screen.show(["a" * 80, "b" * 80])
    # After the last column, xterm(1) and others have the cursor on the last character still, and would clear it.
    assert capsys.readouterr().out == "\x1b[H\x1b[K" + "a" * 80 + "\r\n\x1b[J" + "b" * 80


def test_times_that_are_not_measured_are_offered():
    assert any("t (or --timing)" in line for line in text(a_look(a_filter(), a_filter("eth1", timing_sample=5))))
    assert not any("--timing" in line for line in text(a_look(a_filter(timing_sample=5))))


def test_entries_are_in_the_order_that_was_asked_for():
    look = a_look(a_filter(), entries=[entry(3, 5.0, 10), entry(1, 1.0, 99), entry(2, 9.0, 9)])
    assert first_words(text(look)) == ["203.0.113.2", "203.0.113.3", "203.0.113.1"]
    assert first_words(text(look, View(sort="total"))) == ["203.0.113.1", "203.0.113.3", "203.0.113.2"]
    assert first_words(text(look, View(sort="address"))) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]


def test_scrolling_ends_at_the_last_entry():
    look = a_look(a_filter(), entries=[entry(number, 100.0 - number) for number in range(50)])
    assert first_words(text(look, View(first=3)))[0] == "203.0.113.3"
    assert first_words(text(look, View(first=1000)))[-1] == "203.0.113.49"


def test_list_that_is_read_seldom_is_told():
    look = a_look(a_filter())
    look.lists["blocklist"] = look.lists["blocklist"]._replace(every=3.2)
    assert any("read every 3 s" in line for line in text(look))
    assert not any("read every" in line for line in text(look, interval=5.0))


@pytest.mark.parametrize(("columns", "drawn"), [(60, 60), (200, 60), (33, 30), (10, 10), (1, 1)])
def test_sparkline_is_a_minute_in_as_many_columns_as_there_are(columns, drawn):
    found = top_screen.sparkline([float(number) for number in range(60)], columns, blocks=True)
    assert len(found) == drawn
    assert found[-1] == "█"


def test_sparkline_shows_what_is_rare():
    assert top_screen.sparkline([0.0, 1.0, 1e9], 60, blocks=True) == " ▁█"
    assert top_screen.sparkline([0.0, 1.0, 1e9], 60, blocks=False) == " .#"
    assert top_screen.sparkline([], 60, blocks=True) == ""


def test_screen_for_a_terminal_without_blocks_is_ascii():
    assert all(line.isascii() for line in text(a_look(a_filter()), blocks=False))


def test_colours_are_left_out_where_they_are_not_wanted(monkeypatch):
    line = [("a", screen.RED), ("b", ""), ("c", screen.BOLD)]
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert screen.painted(line, 80) == "\x1b[31ma\x1b[0mb\x1b[1mc\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert screen.painted(line, 80) == "abc"
    assert screen.painted(line, 2) == "ab"


def test_name_that_a_terminal_would_obey_is_escaped():
    assert any("eth\\x1b[2J" in line for line in text(a_look(a_filter("eth\x1b[2J"))))


def test_keys_of_all_terminals_are_known():
    assert keys.names("q\x1b[A\x1bOBjk\x1b[5~x") == ["q", keys.UP, keys.DOWN, keys.DOWN, keys.UP, keys.PAGE_UP, "x"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_pasted_text_is_left_out_in_whatever_pieces_it_comes(size):
    typed, typing = "s\x1b[200~quit\x1b[20\x1b[201~p\x1b[200~t\x1b[201~", keys.Typing()
    pieces = [typed[start : start + size] for start in range(0, len(typed), size)]
    assert "".join(map(typing.without_pasted, pieces)) == "sp"
