# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the results of several hosts are added up correctly, and that a compromised host harms nobody."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from seen import processes, result, row, syscalls, timed

from ansible_collections.pingkiller.fleet.plugins.filter.traced import traced
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.histogram import percentile
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _variables
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace import ALL, lines, trace_result
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._trace_sums import merged

NONSENSE = "what it answers is not what the module says"


def cells(said: list[str], host: str) -> list[list[str]]:
    return [line.removeprefix(host).split() for line in said if line.startswith(f"{host} ")]


def test_calls_and_errors_of_the_same_command_add_up_over_hosts():
    one = syscalls(row("sshd", "read", 3, errors={"EAGAIN": 2}), row("cron", "read", 5))
    other = syscalls(row("sshd", "read", 4, errors={"EAGAIN": 1, "EINTR": 1}))
    said = lines({"alpha": one, "bravo": other}, top=10)
    assert said[0] == "syscalls on 2 of 2 hosts, 5.0 s each: 12 calls"
    assert cells(said, ALL) == [["sshd", "read", "7", "EAGAIN", "3,", "EINTR", "1"], ["cron", "read", "5"]]
    assert cells(said, "alpha") == [["sshd", "read", "3", "EAGAIN", "2"], ["cron", "read", "5"]]
    assert cells(said, "bravo") == [["sshd", "read", "4", "EAGAIN", "1,", "EINTR", "1"]]


def test_sums_are_over_all_rows_however_few_are_shown():
    rows = [row("a", "read", 30), row("b", "read", 20), row("c", "read", 10)]
    said = lines({"alpha": syscalls(*rows), "bravo": syscalls(row("c", "read", 99))}, top=1)
    assert [cells(said, each) for each in (ALL, "alpha", "bravo")] == [
        [["c", "read", "109"]],
        [["a", "read", "30"]],
        [["c", "read", "99"]],
    ]


def test_times_of_hosts_are_those_of_all_their_calls():
    one, other = {4: 90, 20: 1}, {10: 100}
    (whole,) = merged([row("a", "read", 91, **timed(one)), row("a", "read", 100, **timed(other))])
    buckets = [{**one, **other}.get(number, 0) for number in range(64)]
    assert whole["total_ns"] == sum(calls << bucket for bucket, calls in enumerate(buckets))
    assert whole["average_ns"] == round(whole["total_ns"] / 191)
    assert whole["max_ns"] == 1 << 20
    assert [whole[f"p{each}_ns"] for each in (50, 90)] == [percentile(buckets, each) for each in (50, 90)]


def test_no_percentile_is_more_than_the_longest_call():
    (whole,) = merged([row("a", "read", 9, **{**timed({4: 9}), "max_ns": 17})] * 2)
    assert (whole["p99_ns"], whole["max_ns"]) == (17, 17)


def test_processes_and_descriptors_of_different_hosts_are_different():
    about = {
        "user": "root",
        "bytes": 10,
        "fd": 3,
        "small": {"calls": 0, "bytes": 0},
        "slow": {"calls": 1, "total_ns": 9},
    }
    rows = [{"pid": pid, "comm": "x", "calls": 1, "errors": {}, **about, **timed({4: 1})} for pid in (7, 8)]
    (whole,) = merged(rows)
    assert "pid" not in whole
    assert "fd" not in whole
    assert (whole["calls"], whole["bytes"]) == (2, 20)
    assert (whole["small"], whole["slow"]) == ({"calls": 0, "bytes": 0}, {"calls": 2, "total_ns": 18})


def test_look_at_a_call_that_has_no_length_is_told_without_one():
    about = {"pid": 7, "user": "root", "fd": 3, "target": "/x", "bytes": None, "errors": {}, **timed({4: 2})}
    about.update(small={"calls": None, "bytes": None}, slow={"calls": 1, "total_ns": 9})
    rows = [{"comm": "db", "calls": 2, **about}]
    seen = result("syscall", name="fsync", calls=2, bytes=None, errors=0, rows_total=1, rows=rows)
    said = lines(OneShot({"alpha": seen, "bravo": {**seen, "rows": [], "calls": 0}}), top=10)
    assert said[0] == "syscall fsync on 2 of 2 hosts, 5.0 s each: 2 calls"
    assert said[2].split() == [
        "HOST",
        "PID",
        "USER",
        "COMMAND",
        "FD",
        "CALLS",
        "SLOW",
        "TOTAL",
        "P50",
        "P99",
        "MAX",
        "TARGET",
    ]
    assert [cells(said, each)[0][:3] for each in (ALL, "alpha")] == [["root", "db", "2"], ["7", "root", "db"]]


class OneShot(dict):
    """A mapping like those of Ansible, whose values can be iterated over only once."""

    def values(self):
        return iter(super().values())


def test_events_of_processes_add_up_by_user_and_command():
    one = processes([{"user": "root", "comm": "sh", "fork": 2, "exec": 1, "exit": 2}])
    other = processes([{"user": "root", "comm": "sh", "fork": 1}, {"user": "www", "comm": "sh", "exit": 1}])
    said = lines({"alpha": one, "bravo": other}, top=0)
    assert cells(said, ALL) == [["root", "sh", "3", "1", "2"], ["www", "sh", "1"]]


def test_host_that_gave_no_result_is_named_with_its_reason():
    answers = {
        "alpha": syscalls(row("a", "read", 1)),
        "bravo": {"unreachable": True, "msg": "Failed to connect to the host via ssh"},
        "charlie": {"failed": False, "msg": "this host's Python has no BCC: install it"},
        "delta": None,
        "echo": {"probe": "syscalls", "msg": "would look at syscalls"},
    }
    said = lines(answers, top=10)
    assert said[0].startswith("syscalls on 1 of 5 hosts")
    assert "bravo: not traced: Failed to connect to the host via ssh" in said
    assert "charlie: not traced: this host's Python has no BCC: install it" in said
    assert "delta: not traced: it said nothing" in said
    assert "echo: not traced: would look at syscalls" in said


def test_fleet_without_any_result_is_told_so():
    said = lines({"alpha": {"msg": "no"}}, top=10)
    assert said[0] == "none of 1 hosts was traced"
    assert said[-1] == "alpha: not traced: no"


def test_fleet_that_made_no_call_is_told_so():
    assert lines({"alpha": syscalls()}, top=10) == ["syscalls on 1 of 1 hosts, 5.0 s each: 0 calls"]


@pytest.mark.parametrize("top", [-1, "abc", "1.5", "", None])
def test_number_of_rows_that_is_none_is_refused_in_one_sentence(top):
    with pytest.raises(AnsibleError, match="^traced: top is .*, which is not a number of rows: give one, 0 for all$"):
        traced({"alpha": syscalls()}, top)


def test_what_makes_numbers_inexact_is_said_of_its_host():
    said = lines({"alpha": syscalls(row("a", "read", 1), lost=3), "bravo": syscalls(row("a", "read", 1))}, top=10)
    assert any(line.startswith("alpha: lost: 3, for which a table or a buffer had no room") for line in said)
    assert not any(line.startswith("bravo: ") for line in said)


def test_words_of_a_host_do_nothing_to_a_terminal():
    obeyed = "\x1b]0;pwned\x07\r\n" + "A" * 10_000
    found = syscalls(row(obeyed, obeyed, 1, errors={obeyed: 1}, user=obeyed))
    said = lines({"alpha": found, "bravo": {"msg": obeyed}}, top=10)
    assert all(line.isprintable() for line in said)
    assert max(map(len, said)) < 1500


@pytest.mark.parametrize(
    "lie",
    [
        "syscalls",
        {"rows": None},
        {"rows": "abc"},
        {"rows": [1]},
        {"rows": [{"comm": ["x"], "calls": 1}]},
        {"rows": [row("a", "read", "9")]},
        {"rows": [row("a", "read", 1, errors={"E": "x"})]},
        {
            "rows": [
                row("a", "read", 1, **{**timed({1: 1}), "histogram": [{"from_ns": 1 << 70, "to_ns": 1, "calls": 1}]})
            ]
        },
        {"rows": [row("a", "read", 1, max_ns=5)]},
        {"rows": [row("a", "read", 1, **{**timed({1: 1}), "histogram": []})]},
        {"rows": [row("a", "read", -1)]},
        {"calls": "many"},
        {"seconds": "long"},
        {"lost": "x"},
        {"cost": {"runs": 1}},
        {"probe": "processes"},
        {"probe": ["syscalls"]},
    ],
    ids=lambda lie: json.dumps(lie)[:60],
)
def test_lying_host_is_named_and_counts_for_nothing(lie):
    honest = {name: syscalls(row("a", "read", 1)) for name in ("alpha", "zulu")}
    answer = {**syscalls(row("a", "read", 5)), **lie} if isinstance(lie, dict) else [lie]
    said = lines({**honest, "mallory": answer}, top=10)
    assert cells(said, ALL) == [["a", "read", "2"]]
    assert cells(said, "mallory") == []
    assert any(line.startswith("mallory: not traced: ") for line in said)
    if isinstance(answer, dict):
        told = trace_result(answer, "mallory", check_mode=False)
        assert set(told) == {"failed", "msg"}
        assert told["msg"].startswith("What mallory answers is not what the module says: ")


def test_what_a_look_brings_is_handed_on_but_for_facts_and_what_a_terminal_obeys():
    found = syscalls(row("\x1b[31m", "read", 1))
    expected = syscalls(row("\\x1b[31m", "read", 1))
    assert trace_result({**found, "ansible_facts": {"become": True}}, "alpha", check_mode=False) == expected
    assert trace_result(processes([]), "alpha", check_mode=False) == processes([])
    plan = {"probe": "syscalls", "msg": "would look"}
    assert trace_result(plan, "alpha", check_mode=True) == plan
    assert trace_result(plan, "alpha", check_mode=False)["failed"]


def test_answers_made_up_at_random_make_no_traceback(pytestconfig):
    chance = random.Random(pytestconfig.getoption("--inputs-seed"))
    values = [None, True, -1, 1 << 80, 1.5, float("nan"), "x", "\x1b", [], {}, [{}], {"a": 1}]
    for _number in range(pytestconfig.getoption("--inputs") // 8):
        liar = syscalls(row("a", "read", 5, **timed({3: 5})), cost={"runs": 1, "ns": 1, "percent": 0.1})
        where = chance.choice([liar, liar["rows"][0], liar["cost"], liar["rows"][0]["histogram"][0]])
        where[chance.choice(list(where))] = chance.choice(values)
        said = lines({"alpha": syscalls(row("a", "read", 1)), "mallory": liar}, top=chance.choice([0, 1, 10]))
        assert all(line.isprintable() for line in said)


PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks/trace.yml"


def test_playbook_says_each_of_its_variables_at_its_top_and_the_role_takes_none_for_a_mistake():
    comment, _, code = PLAYBOOK.read_text().partition("- name:")
    used = set(re.findall(r"pingkiller_trace_(\w+)", code))
    (task, *_others) = yaml.safe_load("- name:" + code)[0]["tasks"]
    assert used == set(task["pingkiller.fleet.bpf_trace_info"])
    assert used <= set(re.findall(r"\bpingkiller_trace_(\w+)", comment)) | set(re.findall(r"(?<=[ ,]_)(\w+)", comment))
    assert list(_variables.name_faults([f"pingkiller_trace_{each}" for each in used], [], "alpha")) == []
