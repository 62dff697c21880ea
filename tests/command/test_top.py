# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller top``: in a terminal, as text and as JSON, what it switches on for a while, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import installed
import pytest
import terminals
from machine import echo_request, look, program
from running import facts, run
from terminals import LEAVE, PATIENCE, screens

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import bpf

FINE, USAGE = 0, 2
LISTED = "203.0.113.9"
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
pytestmark = pytest.mark.kernel


@pytest.fixture
def top(pingkiller):
    return [*installed.LOADING, str(pingkiller), "top"]


@pytest.fixture
def terminal(top):
    with terminals.opened(top) as begin:
        yield begin


@pytest.fixture
def start(top):
    """Start top with its output in a pipe."""
    running = []

    def begin(*arguments, **options):
        line = [*top, *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(line, text=True, **streams, **options))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ping(source, number, interface="pk0"):
    with bpf.Program.from_id(program(interface)) as attached:
        attached.test_run(echo_request(source), number)


def options(interface="pk0"):
    return facts()["filters"][interface]["options"]


def frames(process, number):
    return [json.loads(process.stdout.readline()) for _each in range(number)]


def until(process, condition):
    """Return the first picture of which the condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition(found := frames(process, 1)[0]):
        assert time.monotonic() < deadline, found
    return found


def pictures(drawn):
    return drawn.count("\x1b[H")


def is_whole(drawn):
    """Whether the last picture is there up to its last line, which always has a style."""
    return "\x1b[J" in drawn.rpartition("\x1b[H")[2] and drawn.endswith("\x1b[0m")


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # interval between two checks


# As text and JSON


def test_host_without_a_filter_is_told_and_fine(command):
    done = command("top")
    assert (done.returncode, done.stdout, done.stderr) == (FINE, "no filter on this host\n", "")


def test_into_a_pipe_it_is_one_picture_of_text(command, filtered):
    run("xdp_blocklist", ip=LISTED)
    done = command("top", "--interval", "0.2")
    assert (done.returncode, done.stderr) == (FINE, "")
    assert done.stdout.startswith("pingkiller top")
    assert "pk0  native  policy pass" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_is_a_picture_a_line_with_rates_of_packets_entries_and_reasons(start, filtered):
    run("xdp_blocklist", ip=LISTED)
    process = start("--json", "--interval", "0.5")
    frames(process, 1)
    ping(LISTED, 500)
    now = until(process, lambda now: now["lists"]["blocklist"]["busiest"])
    (entry,) = now["lists"]["blocklist"]["busiest"]
    assert (entry["ip"], entry["packets"], entry["owners"]) == (LISTED, 500, ["adhoc"])
    assert entry["per_second"] > 0
    rates, seconds = now["filters"]["pk0"]["per_second"], now["filters"]["pk0"]["seconds"]
    assert rates["dropped"] == rates["blocklist"] == pytest.approx(500 / seconds, rel=0.01)
    until(process, lambda now: now["lists"]["blocklist"]["busiest"][0]["per_second"] == 0)


def test_json_ends_after_as_many_pictures_as_were_asked_for(command, filtered):
    done = command("top", "--json", "--count", "3", "--interval", "0.1")
    assert (done.returncode, len(done.stdout.splitlines())) == (FINE, 3)


def test_sources_near_their_limit_and_over_it_are_told(start):
    run("xdp_filter", interface="pk0", ratelimit_pps=50)
    process = start("--json", "--interval", "0.3")
    frames(process, 1)
    ping("192.0.2.1", 80)
    ping("192.0.2.2", 20)
    blocked, counted = until(process, lambda now: len(now["limited_sources"]) == 2)["limited_sources"]
    assert blocked["ip"] == "192.0.2.1"
    assert 50 < blocked["seconds_left"] <= 60
    assert (counted["ip"], counted["packets"], counted["limit"], counted["seconds_left"]) == ("192.0.2.2", 20, 50, 0)


def test_filter_that_appears_and_goes_and_lists_that_are_replaced_do_not_end_it(start):
    process = start("--json", "--interval", "0.1")
    assert frames(process, 1)[0]["filters"] == {}
    run("xdp_filter", interface="pk0")
    run("xdp_blocklist", ip=LISTED)
    until(process, lambda now: "pk0" in now["filters"])
    run("xdp_filter", interface="pk0", max_entries=1000)
    until(process, lambda now: now["lists"]["blocklist"]["capacity"] == 1000)
    ping(LISTED, 7)
    until(process, lambda now: now["lists"]["blocklist"]["busiest"])
    run("xdp_filter", state="absent", all=True)
    until(process, lambda now: now["filters"] == {})
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    assert process.stderr.read() == ""


def test_it_ends_when_nobody_reads_it_any_more(start, filtered):
    process = start("--json", "--interval", "60")
    process.stdout.close()
    assert process.wait(PATIENCE) == FINE
    assert process.stderr.read() == ""


def test_output_that_can_not_be_written_is_one_sentence(command, top, filtered):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*top, "--json", "--interval", "0.1"],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("line", ["--interval=0", "--interval=x", "--count=0", "--sort=colour", "--timing=-1"])
def test_wrong_command_line_is_status_2(command, line):
    assert command("top", line).returncode == USAGE


# What is switched on for a while


def test_processing_times_are_measured_for_a_while_and_counts_go_on(start, filtered):
    ping("192.0.2.1", 100)
    before = look()
    process = start("--json", "--interval", "0.3", "--timing", "1")
    frames(process, 1)
    assert options()["timing_sample"] == 1
    ping("192.0.2.1", 300)
    now = until(process, lambda now: now["filters"]["pk0"]["processing_time"]["passed"]["samples"] == 300)
    times = now["filters"]["pk0"]["processing_time"]["passed"]
    assert 0 < times["average"] <= times["p99"] * 2
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    after = facts()["filters"]["pk0"]
    assert after["options"] == before["told"]["filters"]["pk0"]["options"]
    assert after["counters"]["passed"]["packets"] == 400
    assert look()["run"] == before["run"]


def test_what_is_restored_at_boot_stays_as_it_is(start, command):
    run("xdp_filter", interface="pk0", persist=True)
    process = start("--json", "--interval", "0.1", "--timing")
    frames(process, 1)
    assert command("check").returncode == 3  # the host has for a while what is not wanted
    process.terminate()
    process.wait(PATIENCE)
    assert command("check").returncode == FINE


def test_signal_ends_it_even_if_its_reader_does_not_read(start, filtered):
    process = start("--json", "--interval", "0.1", "--timing", pipesize=4096)
    wait_for(lambda: "pipe_write" in Path(f"/proc/{process.pid}/wchan").read_text())
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    assert options()["timing_sample"] == 0


@pytest.mark.parametrize("number", ENDS)
def test_signal_puts_back_what_was_switched_on(start, filtered, number):
    process = start("--json", "--interval", "0.1", "--timing", "--events")
    frames(process, 1)
    assert (options()["timing_sample"], options()["events"]) == (10, "all_icmp")
    process.send_signal(number)
    assert process.wait(PATIENCE) == FINE
    assert (options()["timing_sample"], options()["events"]) == (0, "none")


def test_next_one_puts_back_what_a_killed_one_has_left_and_until_then_it_is_told(start, command, filtered):
    process = start("--json", "--interval", "0.1", "--timing")
    frames(process, 1)
    process.kill()
    process.wait(PATIENCE)
    assert options()["timing_sample"] == 10
    assert any("timing_sample=10 (else 0)" in note for note in facts()["notes"])
    assert command("top", "--count", "1", "--interval", "0.1").returncode == FINE
    assert options()["timing_sample"] == 0
    assert facts()["notes"] == []


def test_second_one_leaves_to_the_first_what_the_first_has_switched_on(start, command, filtered):
    process = start("--json", "--interval", "0.1", "--timing")
    frames(process, 1)
    assert command("top", "--count", "1", "--interval", "0.1").returncode == FINE
    assert options()["timing_sample"] == 10
    refused = command("top", "--events")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"process {process.pid}" in refused.stderr


def test_option_that_somebody_sets_to_the_value_that_it_has_for_a_while_is_theirs(start, filtered):
    run("xdp_filter", interface="pk1")
    process = start("--json", "--interval", "0.1", "--timing", "7")
    frames(process, 1)
    wanted = {"interface": "pk0", "timing_sample": 7}
    assert run("xdp_filter", check=True, **wanted)["changed"]
    done = run("xdp_filter", **wanted, max_entries=1000)
    assert done["changed"]
    assert done["diff"]["before"]["filters"]["pk0"]["put_back_later"] == {"timing_sample": 0}
    assert "put_back_later" not in done["diff"]["after"]["filters"]["pk0"]
    assert not run("xdp_filter", **wanted)["changed"]
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    assert (options("pk0")["timing_sample"], options("pk1")["timing_sample"]) == (7, 0)


def test_option_that_somebody_sets_meanwhile_is_theirs(start, filtered):
    process = start("--json", "--interval", "0.1", "--timing")
    frames(process, 1)
    run("xdp_filter", interface="pk0", timing_sample=7)
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    assert options()["timing_sample"] == 7


def test_other_option_that_somebody_sets_meanwhile_stays_and_the_loan_ends_as_well(start, filtered):
    process = start("--json", "--interval", "0.1", "--timing")
    frames(process, 1)
    run("xdp_filter", interface="pk0", policy="drop")
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    assert (options()["timing_sample"], options()["policy"]) == (0, "drop")


def test_filter_that_was_removed_meanwhile_is_not_put_back(start, filtered):
    process = start("--json", "--interval", "0.1", "--timing")
    frames(process, 1)
    run("xdp_filter", state="absent", all=True)
    process.terminate()
    assert process.wait(PATIENCE) == FINE
    assert facts()["filters"] == {}


def test_busiest_sources_of_all_icmp_are_told_listed_or_not(start, filtered):
    run("xdp_blocklist", ip=LISTED)
    process = start("--json", "--interval", "0.3", "--sort", "total", "--sources", "--events")
    frames(process, 1)
    ping("192.0.2.1", 30)
    ping(LISTED, 20)
    wanted = [("192.0.2.1", 30), (LISTED, 20)]
    now = until(process, lambda now: [(each["ip"], each["packets"]) for each in now["sources"]] == wanted)
    assert now["sources"][0]["dropped_per_second"] == 0
    assert now["sources"][1]["dropped_per_second"] == now["sources"][1]["per_second"]


def test_sources_that_are_not_reported_come_with_what_to_do(command, filtered):
    done = command("top", "--sources", "--json", "--count", "1", "--interval", "0.1")
    found = json.loads(done.stdout)
    assert (found["sources"], "--events" in found["notes"][0]) == (None, True)


def test_events_that_sources_are_short_of_are_told_also_while_a_filter_does_not_report_all_icmp(start, filtered):
    run("xdp_filter", interface="pk0", events="all_icmp", events_per_second=10)
    run("xdp_filter", interface="pk1")
    process = start("--json", "--interval", "0.3", "--sources")
    frames(process, 1)
    ping("192.0.2.1", 30)
    now = until(process, lambda now: now["suppressed"])
    seen = sum(each["packets"] for each in now["sources"])
    assert (now["suppressed"] + now["lost"] + seen, now["lost"]) == (30, 0)
    assert "pk1" in now["notes"][0]


def test_help_describes_each_key_of_the_json(start, command, filtered):
    """The filter has a limited source, an entry that is busy and a source of events, so that each key is there."""
    run("xdp_filter", interface="pk0", ratelimit_pps=50, events="all_icmp")
    run("xdp_blocklist", ip=LISTED)
    process = start("--json", "--interval", "0.3", "--sources")
    frames(process, 1)
    ping("192.0.2.1", 80)
    ping(LISTED, 1)
    now = until(process, lambda now: now["limited_sources"] and now["lists"]["blocklist"]["busiest"] and now["sources"])
    (one,) = now["filters"].values()
    (blocklist, _allowlist) = now["lists"].values()
    parts = now, one, one["processing_time"]["passed"], blocklist, blocklist["busiest"][0]
    told = command("top", "--help").stdout.partition("JSON")[2]
    for part in (*parts, now["limited_sources"][0], now["sources"][0]):
        assert [key for key in part if not re.search(rf"\b{key}\b", told)] == []


# In a terminal


def test_screen_is_drawn_again_and_again_and_fits(terminal, filtered):
    screen = terminal("--interval", "0.1", lines=20, columns=60)
    screen.read_until(lambda drawn: pictures(drawn) > 3)
    screen.type("q")
    drawn = screen.read_until(lambda _drawn: False)
    assert screen.process.wait(PATIENCE) == FINE
    drawings, rest = screens(drawn)
    assert all("pk0  native  policy pass" in "\n".join(each) for each in drawings)
    assert max(len(each) for each in drawings) <= 20
    assert max(len(line) for each in drawings for line in each) <= 60
    assert rest == ""


@pytest.mark.parametrize("number", ENDS)
def test_terminal_is_put_back_however_it_ends(terminal, filtered, number):
    screen = terminal()
    before = screen.modes()
    screen.read_until(lambda drawn: pictures(drawn) > 0)
    wait_for(lambda: screen.modes() != before)
    status, drawn = screen.end(number)
    assert status == FINE
    assert drawn.endswith("\x1b[?25h" + LEAVE)
    assert screen.modes() == before


def test_keys_act_at_once_and_not_at_the_next_picture(terminal, filtered):
    screen = terminal("--interval", "3600")
    screen.read_until(lambda drawn: pictures(drawn) == 1)
    for key, shown in (
        ("s", "by total"),
        ("s", "by address"),
        ("p", "paused"),
        ("?", "end; what was"),
        ("\x1b[B", "q quit"),
    ):
        number = pictures(screen.drawn.decode())
        screen.type(key)
        drawn = screen.read_until(lambda drawn, number=number: pictures(drawn) > number and is_whole(drawn))
        assert shown in drawn.rpartition("\x1b[H")[2]
    screen.type("q")
    assert screen.process.wait(PATIENCE) == FINE


def test_new_size_is_drawn_at_once(terminal, filtered):
    screen = terminal("--interval", "3600")
    screen.read_until(lambda drawn: pictures(drawn) == 1)
    screen.resize(9, 30)
    screen.read_until(lambda drawn: pictures(drawn) == 2 and is_whole(drawn))
    last = screens(screen.drawn.decode())[0][-1]
    assert len(last) <= 9
    assert max(map(len, last)) <= 30


def test_key_switches_timing_on_and_off_again(terminal, filtered):
    screen = terminal("--interval", "0.1")
    screen.read_until(lambda drawn: "t (or --timing)" in drawn)
    screen.type("t")
    screen.read_until(lambda drawn: "on for a while" in drawn)
    assert options()["timing_sample"] == 10
    screen.type("t")
    wait_for(lambda: screen.read_until(lambda _drawn: True) is not None and options()["timing_sample"] == 0)


def test_program_that_does_not_compile_is_told_on_the_screen(pingkiller, tmp_path, filtered):
    broken = tmp_path / "bcc"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('no BCC here')\n")
    line = ["/usr/bin/python3", str(pingkiller), "top", "--interval", "0.1"]
    screen = terminals.Terminal(line, 24, 80, PYTHONPATH=str(tmp_path))
    try:
        screen.read_until(lambda drawn: pictures(drawn) > 0)
        screen.type("t")
        screen.read_until(lambda drawn: re.search("BCC", drawn.partition("t (or --timing)")[2]))
        screen.type("q")
        assert screen.process.wait(PATIENCE) == FINE
    finally:
        screen.close()


def test_pasted_text_is_no_key(terminal, filtered):
    screen = terminal("--interval", "3600")
    screen.read_until(lambda drawn: pictures(drawn) == 1 and is_whole(drawn))
    assert "\x1b[?2004h" in screen.drawn.decode()
    screen.type("\x1b[200~quit it\x1b[201~s")
    screen.read_until(lambda drawn: "by total" in drawn and is_whole(drawn))
    assert options()["timing_sample"] == 0
    screen.type("q")
    assert screen.read_until(lambda _drawn: False).endswith("\x1b[?2004l\x1b[?25h" + LEAVE)
    assert screen.process.wait(PATIENCE) == FINE


def test_waiting_for_what_is_put_back_at_the_end_is_told(terminal, filtered):
    screen = terminal("--interval", "0.1", "--timing")
    screen.read_until(lambda drawn: "on for a while" in drawn)
    _status, drawn = screen.end()
    assert "putting back what was switched on" in drawn.rpartition(LEAVE)[2]
    assert options()["timing_sample"] == 0


def test_stopped_command_gives_the_terminal_back_and_takes_it_again(terminal, filtered):
    screen = terminal("--interval", "0.1")
    before = screen.modes()
    screen.read_until(lambda drawn: pictures(drawn) > 1)
    screen.process.send_signal(signal.SIGTSTP)
    screen.read_until(lambda drawn: drawn.endswith(LEAVE))
    wait_for(lambda: Path(f"/proc/{screen.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    assert screen.modes() == before
    number = pictures(screen.drawn.decode())
    screen.process.send_signal(signal.SIGCONT)
    screen.read_until(lambda drawn: pictures(drawn) > number)
    assert screen.end()[0] == FINE


def test_terminal_without_utf_8_or_colours_gets_neither(terminal, filtered):
    screen = terminal("--interval", "0.1", LC_ALL="C", NO_COLOR="1")
    ping("192.0.2.1", 9)
    screen.read_until(lambda drawn: pictures(drawn) > 2)
    _status, drawn = screen.end()
    assert drawn.isascii()
    assert not re.search("\x1b\\[[0-9;]*m", drawn)


def test_terminal_that_can_not_be_drawn_on_gets_text(terminal, filtered):
    drawn = terminal("--interval", "0.1", TERM="dumb").read_until(lambda _drawn: False)
    assert drawn.startswith("pingkiller top")
    assert "\x1b" not in drawn


def test_no_file_is_left(command, filtered):
    before = sorted(os.listdir("/run"))
    command("top", "--interval", "0.1", "--timing", "--sources", "--events")
    assert sorted(os.listdir("/run")) == before
