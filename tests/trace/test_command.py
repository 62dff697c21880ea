# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller trace`` from the file that the role installs: in a terminal, into a pipe, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import installed
import pytest
import terminals
from terminals import PATIENCE, screens

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import tables

pytestmark = pytest.mark.kernel

PROBES = (("syscalls", "--latency"), ("syscall",), ("processes",))


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    return (str(installed.install(tmp_path_factory.mktemp("runtime"))), "trace")


@pytest.fixture
def load():
    """A process that writes without pause and starts others. Its name has a control sequence of terminals."""
    script = 'printf "a\\033[2Jb" >/proc/self/comm; while :; do echo; /bin/true; done'
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.DEVNULL, start_new_session=True) as process:
        yield process.pid
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def start(command):
    running = []

    def begin(*arguments, **options):
        process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, **options)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def wait_until_it_looks(process):
    """Wait until the process has attached its programs and sleeps."""
    deadline = time.monotonic() + PATIENCE
    while not looks(process.pid):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)  # interval between two checks


def looks(pid):
    descriptors = Path(f"/proc/{pid}/fd")
    try:
        attached = [each for each in descriptors.iterdir() if "bpf_link" in os.readlink(each)]
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return len(attached) > 1 and state == "S"


@pytest.fixture
def terminal(command):
    with terminals.opened(command) as begin:
        yield begin


@pytest.mark.parametrize("probe", PROBES, ids=" ".join)
def test_look_into_a_pipe_is_text_without_anything_a_terminal_obeys(command, load, probe):
    done = subprocess.run(
        [*command, *probe, "--duration", "0.5"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode()
    assert said.startswith(probe[0])
    assert "a\\x1b[2Jb" in said
    assert all(line.isprintable() for line in said.splitlines())


@pytest.mark.parametrize("probe", PROBES, ids=" ".join)
def test_json_is_the_result_as_the_module_has_it(command, load, probe):
    done = subprocess.run([*command, *probe, "--duration", "0.5", "--pid", str(load), "--json"], capture_output=True)
    found = json.loads(done.stdout)
    assert (done.returncode, found["probe"], found["stopped"]) == (0, probe[0], "duration")
    assert found["seconds"] >= 0.5
    assert found["events" if probe[0] == "processes" else "rows"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_signal_ends_the_look_and_what_was_seen_is_told(start, load, number, options):
    process = start(
        "syscalls", "--duration", "600", *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until_it_looks(process)
    process.send_signal(number)
    said, complaints = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaints) == (0, "")
    assert json.loads(said)["stopped"] == "interrupted" if options else said.startswith("syscalls, ")


def test_look_that_nobody_waits_for_any_more_ends_without_a_word(start):
    process = start("syscalls", "--duration", "600", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until_it_looks(process)
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""


def test_output_that_can_not_be_written_is_one_sentence(command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*command, "syscalls", "--duration", "0.1"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr


def test_command_whose_output_was_closed_says_nothing(command):
    line = 'exec "$@" >&-'
    done = subprocess.run(["sh", "-c", line, "sh", *command, "syscalls", "--duration", "0.1"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("probe", PROBES, ids=" ".join)
def test_look_in_a_terminal_is_drawn_again_and_again_until_it_is_ended(terminal, load, probe):
    screen = terminal(*probe, lines=20, columns=60)
    screen.read_until(lambda drawn: drawn.count("\x1b[H") > 2)
    status, drawn = screen.end()
    drawings, rest = screens(drawn)
    assert status == 0
    assert all(each[0].startswith(probe[0]) for each in drawings)
    assert max(len(each) for each in drawings) <= 20
    assert max(tables.width(line) for each in drawings for line in each) <= 60
    assert rest.startswith(probe[0])
    assert "\x1b" not in rest


def test_terminal_that_knows_no_other_characters_is_given_none(terminal, load):
    screen = terminal("syscalls", "--latency", LC_ALL="C")
    screen.read_until(lambda drawn: drawn.count("\x1b[H") > 2)
    status, drawn = screen.end()
    assert status == 0
    assert drawn.isascii()
    assert "#" in drawn


def test_terminal_that_can_not_be_drawn_on_gets_text_at_the_end(terminal, load):
    screen = terminal("syscalls", "--duration", "0.5", TERM="dumb")
    drawn = screen.read_until(lambda _drawn: False)
    assert drawn.startswith("syscalls, ")
    assert "\x1b" not in drawn


@pytest.mark.parametrize(
    "line", [[], ["bogus"], ["syscalls", "--name", "read"], ["processes", "--by", "comm"], ["syscalls", "--pid", "x"]]
)
def test_wrong_command_line_is_status_2(command, line):
    assert subprocess.run([*command, *line], capture_output=True, timeout=PATIENCE).returncode == 2


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["syscalls", "--by", "colour"], "colour"),
        (["syscalls", "--duration", "0"], "duration"),
        (["syscall", "--name", "wriet"], "wriet"),
        (["syscalls", "--user", "nobody\x1b[2J"], "nobody\\x1b[2J"),
        (["syscalls", "--pid", "4194305"], "4194305"),
    ],
)
def test_value_that_makes_no_sense_is_named_in_one_sentence(command, line, named):
    done = subprocess.run([*command, *line], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pingkiller: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
