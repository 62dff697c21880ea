# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller stream``: every line is done, and answered in its order; lines that come together are one change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import faults
import pytest
from machine import LOCK_FILE, held, ping
from running import run

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import cli
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import lock
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

FINE, REFUSED, USAGE = 0, 1, 2
MANY = [f"10.{number >> 8}.{number & 255}.7" for number in range(10_000)]


@pytest.fixture
def stream(command):
    """Give the command an input, and return its answers: stream("add 192.0.2.1", "del 192.0.2.1")."""

    def call(*lines: str, options: tuple[str, ...] = ()):
        done = command("stream", "--owner", "feed", *options, input="".join(f"{line}\n" for line in lines))
        assert done.returncode == FINE, done.stderr
        return done.stdout.splitlines()

    return call


@pytest.fixture
def running(pingkiller):
    """Start the command, and end it with the test."""
    processes = []

    def start(*options: str) -> subprocess.Popen:
        line = [pingkiller, "stream", "--owner", "feed", *options]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def asked(process: subprocess.Popen, line: str) -> str:
    """Send a line, and wait for its answer."""
    process.stdin.write(f"{line}\n")
    return process.stdout.readline().rstrip("\n")


def listed(name: str = "blocklist") -> list[str]:
    return [line.split()[0] for line in held()[name]]


@pytest.mark.usefixtures("filtered")
def test_every_line_is_answered_in_its_order(stream):
    assert stream("add 192.0.2.1", "192.0.2.2", "", "del 192.0.2.9", "# end") == [
        "changed",
        "changed",
        "ok",
        "ok",
        "ok",
    ]
    assert stream("add 192.0.2.1", "del 192.0.2.2") == ["ok", "changed"]
    assert listed() == ["192.0.2.1"]


@pytest.mark.usefixtures("filtered")
def test_a_bad_line_is_answered_with_its_error_and_spoils_no_other(stream):
    answers = stream("add 192.0.2.1", "add nobody", "del 192.0.2.1/8", "x" * 70_000, "add 192.0.2.2")
    assert [answer.split()[0] for answer in answers] == ["changed", "error", "error", "error", "changed"]
    assert "'nobody' is not an IPv4 or IPv6 address" in answers[1]
    assert "more than 65536 bytes" in answers[3]
    assert listed() == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (("add 192.0.2.1", "del 192.0.2.1"), []),
        (("del 192.0.2.1", "add 192.0.2.1"), ["192.0.2.1 direction=src owner=feed"]),
        (("add 192.0.2.1 ttl=1h", "add 192.0.2.1 direction=dst"), ["192.0.2.1 direction=dst owner=feed"]),
        (("add 192.0.2.1", "del 192.0.2.1", "add 192.0.2.1 direction=both"), ["192.0.2.1 direction=both owner=feed"]),
    ],
)
@pytest.mark.parametrize("there_before", [False, True])
def test_of_several_lines_for_one_address_the_last_counts(stream, lines, left, there_before):
    if there_before:
        run("xdp_blocklist", ip="192.0.2.1", owner="feed")
    stream(*lines)
    assert held()["blocklist"] == left


@pytest.mark.usefixtures("filtered")
def test_what_arrives_together_is_one_change(stream):
    def generation() -> int:
        pins = Pins(DEFAULT_BASE)
        with pins.open_map(pins.host_pin("control")) as control:
            return schema.CONTROL.unpack(control.lookup(schema.ZERO))["generation"]

    stream("add 192.0.2.1", "add 192.0.2.2")
    before = generation()
    stream(*(f"{'del' if number < 3 else 'add'} 192.0.2.{number}" for number in range(200)))
    assert len(listed()) == 197
    assert generation() == before + 1


def test_a_program_can_wait_for_its_answer(running, filtered):
    process = running()
    assert asked(process, "add 192.0.2.1") == "changed"
    assert ping(filtered, "192.0.2.1") == "drop"
    assert asked(process, "del 192.0.2.1") == "changed"
    assert ping(filtered, "192.0.2.1") == "pass"


@pytest.mark.usefixtures("filtered")
def test_what_fails_is_answered_and_the_next_change_may_do_better(running):
    process = running("--lock-timeout", "0")
    with lock.host_lock():
        assert asked(process, "add 192.0.2.1").startswith(
            f"error another PingKiller run on this host (process {os.getpid()}"
        )
    assert asked(process, "add 192.0.2.1") == "changed"


def test_a_full_list_refuses_a_change_and_takes_one_that_fits(running):
    run("xdp_filter", interface="pk0", max_entries=2)
    process = running()
    assert asked(process, "add 192.0.2.0-192.0.2.6").startswith("error ")
    assert listed() == []
    assert asked(process, "add 192.0.2.0-192.0.2.2") == "changed"
    process.stdin.write("add 192.0.2.8\ndel 192.0.2.2\n")  # together, so the one makes room for the other
    assert [process.stdout.readline() for _line in range(2)] == ["changed\n", "changed\n"]
    assert listed() == ["192.0.2.0/31", "192.0.2.8"]


@pytest.mark.usefixtures("filtered")
def test_options_are_for_lines_without_their_own(stream):
    stream(
        "add 192.0.2.1", "add 192.0.2.2 direction=dst ttl=1h", options=("--direction", "both", "--list", "allowlist")
    )
    first, second = held()["allowlist"]
    assert first == "192.0.2.1 direction=both owner=feed"
    assert second.startswith("192.0.2.2 direction=dst owner=feed until=")
    stream("add 192.0.2.3", options=("--ttl", "1h"))
    assert "until=" in held()["blocklist"][0]


@pytest.mark.usefixtures("filtered")
def test_answers_can_be_json_or_only_errors(stream):
    answers = stream("add 192.0.2.1", "add 192.0.2.1/8", "", options=("--json",))
    changed, failed, fine = map(json.loads, answers)
    assert (changed, fine) == ({"changed": True}, {"changed": False})
    assert failed["failed"]
    assert "192.0.0.0/8" in failed["msg"]
    assert stream("add 192.0.2.1", "add nobody", options=("--quiet",))[0].startswith("error 'nobody'")


@pytest.mark.usefixtures("filtered")
def test_a_comment_is_that_of_the_line_or_of_all_or_the_one_before(stream):
    stream('add 192.0.2.1 comment="of the line"', "add 192.0.2.2", options=("--comment", "of all"))
    stream("add 192.0.2.1 ttl=1h")
    first, second = held()["blocklist"]
    assert first.endswith(' comment="of the line"')
    assert second.endswith(' comment="of all"')


@pytest.mark.usefixtures("filtered")
def test_a_warning_is_said_once_on_standard_error(running):
    run("xdp_allowlist", ip="192.0.2.0/24")
    process = running()
    for answer in ("changed", "changed", "changed"):
        assert asked(process, "add 192.0.2.1" if answer != "ok" else "") == answer
        assert asked(process, "del 192.0.2.1") == "changed"
    assert process.communicate()[1].count("wins over the blocklist") == 1


@pytest.mark.usefixtures("filtered")
def test_decisions_of_crowdsec_come_and_go(stream):
    def decision(action: str, value: str, duration: str, scope: str = "Ip") -> str:
        told = {"duration": duration, "origin": "crowdsec", "scenario": "crowdsecurity/ssh-bf", "scope": scope}
        return json.dumps({**told, "type": "ban", "value": value, "action": action})

    crowdsec = ("--format", "crowdsec")
    lines = decision("add", "192.0.2.1", "3h59m58.5s"), decision("add", "198.51.100.7/24", "1m1s", "Range")
    assert stream(*lines, decision("add", "NZ", "1h", "Country"), options=crowdsec)[:2] == ["changed"] * 2
    assert listed() == ["192.0.2.1", "198.51.100.0/24"]
    gone = decision("del", "192.0.2.1", "-5.2s"), decision("del", "198.51.100.7/24", "-1s", "Range")
    assert stream(*gone, options=crowdsec) == ["changed"] * 2
    assert stream(*gone, options=crowdsec) == ["ok"] * 2
    assert listed() == []


@pytest.mark.usefixtures("filtered")
def test_what_comes_and_goes_is_kept_for_a_boot_as_it_is(stream, tmp_path):
    config = tmp_path / "pingkiller"
    config.mkdir(mode=0o700)
    run("xdp_blocklist", ip=["192.0.2.1", "192.0.2.2"], owner="feed", config_dir=str(config), persist=True)
    stream("add 192.0.2.3 ttl=1h", "del 192.0.2.1", options=("--config", str(config)))
    note = json.loads((config / "entries/blocklist/feed.json").read_text())
    assert sorted(note["entries"]) == ["192.0.2.2", "192.0.2.3"]
    stream("del 192.0.2.2", "del 192.0.2.3", options=("--config", str(config)))
    assert not (config / "entries").exists()


@pytest.mark.parametrize("last", ["\n", ""])
@pytest.mark.usefixtures("filtered")
def test_lines_may_end_as_they_like(pingkiller, last):
    line = [pingkiller, "stream", "--owner", "feed"]
    given = f"add 192.0.2.1\r\nadd \udcff\udcfe\nadd 192.0.2.2{last}".encode(errors="surrogateescape")
    done = subprocess.run(line, input=given, capture_output=True, timeout=60)
    assert [answer.split()[0] for answer in done.stdout.decode().splitlines()] == ["changed", "error", "changed"]
    assert listed() == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.usefixtures("filtered")
def test_ten_thousand_lines_are_done(stream):
    assert stream(*(f"add {address} ttl=1h" for address in MANY)) == ["changed"] * len(MANY)
    assert len(listed()) == len(MANY)
    assert stream(*(f"del {address}" for address in MANY)) == ["changed"] * len(MANY)
    assert listed() == []


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_all_answers_given(running, number):
    process = running()
    assert asked(process, "add 192.0.2.1") == "changed"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == FINE


@pytest.mark.usefixtures("filtered")
def test_a_line_that_a_signal_cuts_off_is_not_done(running):
    """The end of "add 192.0.0.0/24" may be missing."""
    process = running()
    assert asked(process, "add 192.0.2.1") == "changed"
    os.write(process.stdin.fileno(), b"add 192.0.2.2\nadd 192.0.0.0/2")
    assert process.stdout.readline() == "changed\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == FINE  # before its input ends
    assert process.communicate() == ("", "")
    assert listed() == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.usefixtures("filtered")
def test_it_ends_when_nobody_reads_its_answers(running):
    process = running()
    assert asked(process, "add 192.0.2.1") == "changed"
    process.stdout.close()
    assert process.wait(timeout=60) == FINE
    assert process.stderr.read() == ""


def test_it_ends_where_there_is_no_input(pingkiller):
    done = subprocess.run(f"{pingkiller} stream --owner feed <&-", shell=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (FINE, b"", b"")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--owner", "a/b"), REFUSED),
        (("--owner", "feed", "--ttl", "soon"), REFUSED),
        (("--owner", "feed", "--comment", '"'), REFUSED),
        (("--owner", "feed", "--lock-timeout", "-1"), REFUSED),
        (("--owner", "feed", "--format", "xml"), USAGE),
        ((), USAGE),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(command, options, status):
    done = command("stream", *options, input="add 192.0.2.1\n")
    assert (done.returncode, done.stdout) == (status, "")
    assert not os.path.exists(DEFAULT_BASE)


def test_killed_at_any_step_it_leaves_what_the_next_run_completes(filtered):
    """The lines come again, as from a program that got no answer."""
    lines = "add 192.0.2.1\ndel 192.0.2.2\nadd 192.0.2.3 direction=both\n"
    begin = ["192.0.2.2", "192.0.2.4"]
    run("xdp_blocklist", ip=begin, owner="feed")
    steps = faults.record(lambda prepare: forked(lines, prepare))
    lasting = [step for step in steps if step.lasts]
    assert lasting
    for step in lasting:
        run("xdp_blocklist", ip=begin, owner="feed", exclusive=True)
        with faults.at(step, faults.KILL) as fault:
            assert forked(lines, fault.prepare) == -signal.SIGKILL
        assert ping(filtered, "192.0.2.4") == "drop"
        assert forked(lines) == FINE
        assert listed() == ["192.0.2.1", "192.0.2.3", "192.0.2.4"]
        assert [ping(filtered, f"192.0.2.{last}") for last in (1, 2, 3, 4)] == ["drop", "pass", "drop", "drop"]
        assert not os.path.exists(LOCK_FILE)


def forked(lines: str, prepare=lambda: None) -> int:
    """Run the command in a child of this process. Return its exit status, or the negative number of a signal."""
    given, give = os.pipe()
    os.write(give, lines.encode())
    os.close(give)
    process = os.fork()
    if not process:
        status = 70
        try:
            sys.stdin = os.fdopen(given)
            sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
            prepare()
            status = cli.main(["stream", "--owner", "feed"])
        finally:
            os._exit(status)
    os.close(given)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
