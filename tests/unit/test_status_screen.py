# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the table of a fleet: what it says, and that it fits on a screen."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import yaml
from recorded_statuses import HOSTILE, answer, fleet

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.tables import clipped, short, width, wrapped
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _status_words, _variables
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_screen import Screen
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._status_variables import fault
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._statuses import STATES, read

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks/status.yml"
WIDE = 140  #: columns, for all cells of a table


def lines(answers, columns=WIDE, rows=None, address="", height=24):
    return Screen(read(answers), columns, height).lines(rows, address)


def cells(said, host):
    return next(re.split(r"  +", line) for line in said if line.startswith(f"{host} "))


def counts(dropped=0, **others):
    return {"passed": 0, "dropped": dropped, "would_drop": 0, "reasons": {}, **others}


def host(state="fine", **changed):
    made = answer(state, random.Random(1))
    made["status"].update({"sources": [], "counts": counts(), "recent": counts(seconds=1.0), "notes": []}, **changed)
    return made


def attached(**changed):
    return {"wanted": True, "mode": "native", "policy": "pass", "monitor": False, **changed}


def explained(verdict, reason):
    return host(address={"ip": "203.0.113.9", "verdict": verdict, "reason": reason, "owners": []})


@pytest.mark.parametrize("columns", [80, 100, 200])
@pytest.mark.parametrize("number", [1, 3, 7, 20, 200, 1000])
def test_fleet_of_any_size_fits_on_a_screen(number, columns):
    for seed in range(5 if number < 1000 else 1):
        answers = fleet(number, seed)
        said = lines(answers, columns)
        assert len(said) <= 23  # and the prompt
        assert max(map(width, said)) <= columns
        assert all(line.isprintable() for line in said)
        assert said[0].startswith("HOST")
        assert " dropped " in "".join(said[-3:])


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_narrow_terminal_loses_columns_of_the_table_but_not_the_states(columns):
    said = lines(fleet(7, 1), columns)
    assert max(map(width, said)) <= columns
    assert [line.split()[1] for line in said[:3]] == [
        "STATE",
        "unreachable"[: columns - 14],
        "failed"[: columns - 14],
    ] or (columns == 20)
    assert "VERSION" not in said[0]


def test_wide_terminal_shows_all_of_a_host():
    sources = [{"ip": "203.0.113.66", "packets": 42, "recent": 3, "reason": "blocklist", "owners": ["inventory"]}]
    told = host(
        filters={"eth0": attached(), "eth1": attached(mode="generic", policy="drop")},
        filters_left_out=1,
        lists={"blocklist": {"count": 32768, "capacity": 65536}, "allowlist": {"count": 1, "capacity": 65536}},
        counts=counts(12345),
        recent=counts(3, seconds=5.0),
        sources=sources,
    )
    said = lines({"alpha": told})
    assert re.split(r"  +", said[0]) == (
        ["HOST", "STATE", "FILTERS", "MODE", "POLICY", "DRIFT", "VERSION", "LISTS", "DROPPED", "LAST 5 S", "TOP SOURCE"]
    )
    assert cells(said, "alpha") == [
        "alpha",
        "fine",
        "3 of 3",
        "mixed",
        "mixed",
        "-",
        "0.1.0",
        "50 %",
        "12.3k",
        "3",
        "203.0.113.66",
    ]
    assert said[3:5] == [
        "BUSIEST SOURCE  PACKETS  LAST 5 S  HOSTS  REASON     OWNERS",
        "203.0.113.66         42         3      1  blocklist  inventory",
    ]
    assert said[-1] == "1 host: 1 filters as the inventory wants; dropped 3 in the last 5 s and 12,345 in all"


def test_host_without_a_measurement_has_no_column_for_it():
    said = lines({"alpha": host(recent=counts(seconds=0.0))})
    assert "LAST" not in said[0]
    assert said[-1].endswith("; dropped 0 in all")


def test_each_state_is_told_in_words():
    answers = {state: answer(state, random.Random(3)) for state in STATES}
    said = lines(answers, rows=0)
    assert [line.split()[:2] for line in said[1:8]] == [[state, state] for state in STATES]
    assert cells(said, "unreachable")[2].startswith("ssh: connect to host 192.0.2.7 ")
    assert cells(said, "failed")[2] == "xdp_status_info needs root: run the play with become: true"
    assert cells(said, "unfiltered")[2].startswith("0 of ")
    assert cells(said, "monitoring")[4] == "monitor"
    assert cells(said, "unwanted")[2:6] == ["0 of 0", "-", "-", "-"]
    assert any(re.fullmatch(r"drifted: filter .*: policy is pass, the inventory wants drop", line) for line in said)
    assert any(re.fullmatch(r"unfiltered: filter .*: it is missing, the inventory wants it", line) for line in said)
    assert any(re.fullmatch(r"monitoring: only monitors: would have dropped [\d,]+", line) for line in said)
    assert " ".join(" ".join(said[-2:]).split()).startswith(
        "7 hosts: 1 filters as the inventory wants, 1 only monitors, 1 is to have no filter, 1 would change in a deployment, "
        "1 lacks a filter, 1 gave no answer, "
    )


def test_message_that_its_row_has_no_room_for_is_below_the_table_in_full():
    said = lines({"alpha": {"msg": f"{'because ' * 15}of this."}, "bravo": {"msg": "no root"}}, columns=79)
    assert cells(said, "alpha")[2].endswith("...")
    assert " ".join(" ".join(said).split()).count(f"alpha: {'because ' * 15}of this") == 1
    assert not any(line.startswith("bravo:") for line in said)


def test_filter_that_is_missing_does_not_monitor():
    filters = {"eth0": attached(), "eth1": attached(mode="none", monitor=True)}
    assert not any("only monitors" in line for line in lines({"alpha": host(filters=filters)}))


def test_filter_that_is_missing_is_named_even_if_no_drift_says_so():
    said = lines({"alpha": host(filters={"eth1": attached(mode="none")}), "bravo": host(filters={})})
    assert "alpha: eth1 is missing" in said
    assert "bravo: every filter is missing" in said


def test_hosts_without_room_are_summed_up():
    fine = {f"host{number:03}": host() for number in range(200)}
    said = lines(fine, 80)
    assert len(said) == 23
    assert said[19] == "and 182 more, all fine (-e pingkiller_rows=0 shows all)"
    watched = {f"test{number:02}": host("monitoring") for number in range(20)}
    assert "and 201 more, none of them lacking (-e pingkiller_rows=0 shows all)" in lines({**fine, **watched}, rows=19)
    several = {**fine, **{f"late{number}": host("drifted", drift=["x"]) for number in range(30)}}
    assert re.search(r"^and \d+ more, \d+ of them lacking", "\n".join(lines(several, 80)), re.MULTILINE)


@pytest.mark.parametrize(("rows", "shown"), [(0, 50), (5, 5), (100, 50)])
def test_as_many_hosts_are_shown_as_asked_for(rows, shown):
    said = lines({f"host{number:02}": host("drifted", drift=["x y"]) for number in range(50)}, rows=rows)
    assert sum(" drifted  " in line for line in said) == shown
    assert sum(line.endswith(": x y") for line in said) == shown


def test_lines_that_hosts_leave_free_are_for_what_is_said_of_them():
    answers = {f"host{number}": host("drifted", drift=["x " * 60, "y"]) for number in range(9)}
    said = lines(answers, 80)
    assert len(said) == 22
    assert [line.partition(": ")[0] for line in said[11:20]] == [f"host{number}" for number in range(9)]
    assert all(line.endswith("... (and 1 more)") for line in said[11:20])


def test_higher_terminal_shows_more_hosts_and_a_lower_one_no_fewer_than_a_usual_one():
    fine = {f"host{number:03}": host() for number in range(200)}
    assert [len(lines(fine, height=height)) for height in (50, 24, 5)] == [49, 23, 23]


def test_busiest_sources_of_the_fleet_are_those_of_all_hosts_also_of_those_not_shown():
    source = {"ip": "203.0.113.66", "packets": 10, "recent": 1, "reason": "blocklist", "owners": ["inventory"]}
    said = lines({f"host{number}": host(sources=[source]) for number in range(100)}, rows=1)
    assert "203.0.113.66      1,000       100    100  blocklist  inventory" in said


def test_hosts_that_lack_something_are_named_in_one_sentence():
    answers = {state: answer(state, random.Random(1)) for state in STATES}
    assert _status_words.lacking(read(answers)) == (
        "4 of 7 hosts lack what they should have: unreachable (unreachable), failed (failed), unfiltered (unfiltered), "
        "drifted (drifted)"
    )
    assert (
        _status_words.lacking(read({"alpha": {"msg": "x"}})) == "1 of 1 host lacks what it should have: alpha (failed)"
    )
    assert _status_words.lacking(read({state: answers[state] for state in ("fine", "monitoring", "unwanted")})) == ""
    assert _status_words.lacking(read({f"h{number:03}": {"msg": "x"} for number in range(300)})).endswith(
        " and 280 more"
    )


def test_fleet_without_hosts_is_told_so():
    assert lines({})[-1] == "0 hosts: none was looked at; dropped 0 in all"


def test_verdicts_on_an_address_are_put_together_those_that_drop_first():
    answers = {
        **{f"db{number}": explained("pass", "no entry decides") for number in range(7)},
        **{
            f"web{number}": explained("drop", "the blocklist has 203.0.113.0/24 (owner inventory)")
            for number in range(9)
        },
        "edge": explained("drop", "the blocklist has 203.0.113.9 (owner local)"),
        "gone": {"unreachable": True, "msg": "no route"},
    }
    said = lines(answers, address="203.0.113.9")
    assert "BUSIEST SOURCE" not in "\n".join(said)
    at = said.index("203.0.113.9: dropped on 10, passes on 7, not known on 1 of 18 hosts")
    assert said[at + 1 : at + 5] == [
        "9 hosts (web0, web1, web2, web3 and 5 more): the blocklist has 203.0.113.0/24 (owner inventory)",
        "1 host (edge): the blocklist has 203.0.113.9 (owner local)",
        "7 hosts (db0, db1, db2, db3 and 3 more): no entry decides",
        "1 host (gone): no route",
    ]
    assert "7 hosts (db0, db1, db2, db3, db4, db5, db6): no entry decides" in lines(
        answers, rows=0, address="203.0.113.9"
    )


def test_host_that_only_counts_what_it_would_drop_is_no_failed_one():
    answers = {"web": explained("would_drop", "the blocklist has it"), "db": explained("drop", "the blocklist has it")}
    said = lines(answers, address="203.0.113.9")
    assert "203.0.113.9: dropped on 1, only counted (monitor mode) on 1 of 2 hosts" in said
    assert "failed" not in "\n".join(said)


@pytest.mark.parametrize(
    ("number", "words"), [(7, "and 1 other reason on 1 host"), (8, "and 2 other reasons on 2 hosts")]
)
def test_reasons_without_room_are_counted(number, words):
    answers = {f"host{each}": explained("drop", f"on eth{each}") for each in range(number)}
    assert words in lines(answers, address="203.0.113.9")


def test_verdicts_on_an_address_fit_on_a_screen_also_if_each_host_has_its_own():
    answers = {f"host{number}": explained("drop", f"on eth{number}, " + "since " * 40) for number in range(100)}
    said = lines(answers, 80, address="203.0.113.9")
    assert any(line == "and 94 other reasons on 94 hosts" for line in said)
    assert all(width(line) <= 80 for line in said)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"pingkiller_address": "203.0.113.9"}, ""),
        ({"pingkiller_address": "2001:db8::/32", "pingkiller_rows": "0", "pingkiller_status_window": "2.5"}, ""),
        ({"pingkiller_address": None, "pingkiller_rows": 10, "pingkiller_status_window": 0}, ""),
        ({"pingkiller_address": ""}, 'pingkiller_address is "", which is empty: '),
        (
            {"pingkiller_address": "10.0.0.1/8"},
            'pingkiller_address is "10.0.0.1/8", which has bits set behind its prefix: ',
        ),
        ({"pingkiller_address": "\x1b[31m" * 99}, 'pingkiller_address is "\\u001b'),
        (
            {"pingkiller_address": ["192.0.2.1"]},
            'pingkiller_address is ["192.0.2.1"], which is not an IPv4 or IPv6 address',
        ),
        ({"pingkiller_rows": -1}, "pingkiller_rows is -1, which is not a number of hosts: "),
        ({"pingkiller_rows": "all"}, 'pingkiller_rows is "all", which is not a number of hosts: '),
        ({"pingkiller_status_window": "long"}, 'pingkiller_status_window is "long", which is not a number of seconds'),
        ({"pingkiller_status_window": -1}, "pingkiller_status_window is -1, which is not a number of seconds"),
        ({"pingkiller_status_window": "nan"}, 'pingkiller_status_window is "nan", which is not a number of seconds'),
    ],
)
def test_variable_that_is_wrong_is_told_in_one_sentence(given, told):
    said = fault(given)
    assert said.startswith(told)
    assert bool(said) == bool(told)
    assert said.isprintable()


def test_playbook_says_each_of_its_variables_at_its_top_and_the_role_takes_none_for_a_mistake():
    comment, _, _code = PLAYBOOK.read_text().partition("- name:")
    told = set(re.findall(r"^#     (pingkiller_\w+)  ", comment, re.MULTILINE))
    tasks = PLAYBOOK.parent / "tasks/status.yml"
    used = set(re.findall(r"\b(pingkiller_\w+) \| default", PLAYBOOK.read_text() + tasks.read_text()))
    assert used == told
    assert list(_variables.name_faults(used, [], "alpha")) == []
    assert yaml.safe_load(PLAYBOOK.read_text())[0]["strategy"] == "ansible.builtin.linear"


def test_numbers_are_short():
    assert [short(each) for each in (0, 9999, 10_000, 12_345, 999_499, 999_500, 1_234_567)] == (
        ["0", "9,999", "10k", "12.3k", "999k", "1M", "1.23M"]
    )
    assert short((1 << 64) - 1) == "18,446,744T"
    assert all(len(short(chance)) <= 5 for chance in (random.Random(1).randrange(10**15 - 10**12) for _ in range(1000)))


def test_text_is_broken_between_words_and_what_does_not_fit_is_cut():
    assert wrapped("one two three", 7, "  ") == ["one two", "  three"]
    assert wrapped("a" * 20, 7) == ["a" * 7]
    assert all(width(line) <= 10 for text in HOSTILE for line in wrapped(text, 10, "    "))
    assert clipped("工作站工作站", 9) == "工作站..."
