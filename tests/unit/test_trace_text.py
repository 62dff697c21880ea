# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the text of a trace is complete, fits its width, and cannot control a terminal."""

from __future__ import annotations

import pytest
from seen import processes, result, row, syscalls, timed

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import tables
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import tracing
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import text

FORKED = {"event": "fork", "pid": 8, "parent": 7, "user": "root", "comm": "sh", "thread": False}
EXECUTED = {"event": "exec", "pid": 8, "user": "root", "comm": "ls", "thread": False, "path": "/bin/ls"}
ENDED = {"event": "exit", "pid": 8, "user": "root", "comm": "ls", "thread": False}
TIME = {"time": "2026-01-31T12:00:00.123456Z"}


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (None, "-"),
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1.00 us"),
        (9_994, "9.99 us"),
        (9_996, "10.0 us"),
        (99_960, "100 us"),
        (1_234_567, "1.23 ms"),
        (1_234 * 10**9, "1,234 s"),
    ],
)
def test_time_has_three_digits_and_a_unit(nanoseconds, shown):
    assert tables.time(nanoseconds) == shown


@pytest.mark.parametrize(("words", "columns"), [("abc", 3), ("", 0), ("界界", 4), ("é", 1), ("e\u0301", 1)])
def test_width_is_that_on_a_terminal(words, columns):
    assert tables.width(words) == columns
    assert tables.cut(words + "界", columns + 1) == words
    assert tables.cut(words, columns) == words


def test_cells_stand_below_their_headings():
    lines = tables.table(
        {"A": tables.LEFT, "NUMBER": tables.RIGHT, "B": tables.LEFT}, [["界", "1", "x"], ["abc", "12", ""]]
    )
    assert lines == ["A    NUMBER  B", "界        1  x", "abc      12"]


def test_look_without_a_call_is_one_line():
    assert text.lines(syscalls()) == ["syscalls, 5.0 s: 0 calls, 0 a second"]


def test_errors_are_named_most_first():
    said = text.lines(syscalls(row("a", "read", 9, errors={"EINTR": 1, "EAGAIN": 5})))
    assert said[0] == "syscalls, 5.0 s: 9 calls, 2 a second, 6 failed"
    assert said[-2:] == ["COMMAND  CALL  CALLS  ERRORS", "a        read      9  EAGAIN 5, EINTR 1"]


def test_rows_that_are_not_shown_are_counted():
    found = syscalls(row("a", "read", 9), row("b", "read", 8), rows_total=12)
    assert text.lines(found)[-1] == "and 10 rows more"
    assert text.lines(found, rows=1)[-1] == "and 11 rows more"


@pytest.mark.parametrize(("blocks", "longest", "shortest"), [(True, "█" * 40, "▏"), (False, "#" * 40, "#")])
def test_histogram_is_that_of_the_rows_that_are_not_shown_as_well_and_shows_a_single_call(blocks, longest, shortest):
    found = syscalls(row("a", "read", 1001, **timed({4: 1, 5: 1000})), rows_total=2)
    found["histogram"] = timed({4: 1, 5: 2000})["histogram"]
    said = text.lines(found, blocks=blocks)
    assert said[-3].split() == ["TIME", "OF", "A", "CALL", "CALLS"]
    assert said[-2].split() == ["16", "ns", "to", "31", "ns", "1", shortest]
    assert said[-1].split() == ["32", "ns", "to", "63", "ns", "2,000", longest]


def test_call_is_told_with_its_target_its_bytes_and_what_was_small_or_slow():
    about = {"pid": 7, "user": "root", "fd": 0, "target": "pipe:[5]", "bytes": 1234, "errors": {}, **timed({4: 3})}
    about.update(small={"calls": 2, "bytes": 4}, slow={"calls": 0, "total_ns": 0})
    one = {"comm": "cat", "calls": 3, **about}
    gone = {**one, "pid": 8, "fd": None, "target": None, "bytes": None}
    found = result("syscall", name="write", calls=6, bytes=1234, errors=0, rows_total=2, rows=[one, gone])
    said = text.lines(found)
    assert said[0] == "syscall write, 5.0 s: 6 calls, 1 a second, 1,234 bytes"
    assert " ".join(said[2].split()) == "PID USER COMMAND FD CALLS BYTES SMALL SLOW TOTAL P50 P99 MAX TARGET"
    assert said[3].split()[:8] == ["7", "root", "cat", "0", "3", "1,234", "2", "0"]
    assert said[3].endswith("pipe:[5]")
    assert said[4].split()[:6] == ["8", "root", "cat", "3", "2", "0"]


@pytest.mark.parametrize(
    ("event", "details"),
    [
        (FORKED, "child of 7"),
        ({**FORKED, "thread": True}, "thread of 7"),
        (EXECUTED, "/bin/ls"),
        ({**EXECUTED, "path": None}, "ls"),
        ({**ENDED, "status": 3, "signal": None, "lifetime_ns": None}, "status 3"),
        ({**ENDED, "status": None, "signal": None, "lifetime_ns": None}, "status unknown"),
        ({**ENDED, "status": None, "signal": "SIGKILL", "lifetime_ns": 2_000_000}, "by SIGKILL after 2.00 ms"),
    ],
)
def test_event_is_told_with_what_is_particular_to_it(event, details):
    said = text.lines(processes([{"user": "root", "comm": "ls", event["event"]: 1}], [{**TIME, **event}]))
    assert said[0] == f"processes, 5.0 s: 1 {event['event']}"
    assert said[-1].endswith(details)


def test_what_makes_numbers_inexact_is_said_before_them():
    found = syscalls(row("a", "read", 1), lost=1, unfinished=2, outside=3, stopped="max_overhead")
    found["cost"] = {"runs": 10, "ns": 1000, "percent": 1.5}
    assert text.lines(found)[1:6] == [
        "ended early, after 5.0 s: the programs took more of the processors than max_overhead allows",
        "lost: 1, for which a table or a buffer had no room: look at fewer processes, by pid, user, comm or unit",
        "not returned yet: 2",
        "of processes outside this container: 3",
        "cost: 1.50 % of all processors (10 runs of the programs, 100 ns each)",
    ]


HOSTILE = "\x1b]0;pwned\x07\r\n\u202e" + "A" * 10_000
TOLD = {
    "syscalls": syscalls(
        *(row(HOSTILE, HOSTILE, 1, user=HOSTILE, errors={HOSTILE: 1}, **timed({4: 1})) for _each in "ab"),
        histogram=timed({4: 2})["histogram"],
    ),
    "processes": processes(
        [{"user": HOSTILE, "comm": HOSTILE, "exec": 2}], [{**TIME, **EXECUTED, "path": HOSTILE}] * 50
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_names_of_others_do_nothing_to_a_terminal(name):
    said = text.lines(TOLD[name])
    assert all(line.isprintable() for line in said)
    assert max(map(len, said)) < 1500


@pytest.mark.parametrize("height", [1, 5, 10, 24, 60])
@pytest.mark.parametrize("name", TOLD)
def test_screen_is_never_overfull(name, height):
    assert len(tracing.fitted(TOLD[name], height, blocks=True)) <= height
