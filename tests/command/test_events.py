# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pingkiller events``: packets that the filters report, with ``--follow`` as they come."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from machine import ping
from running import changed, run

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store import control, host_maps, lock
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.paths import DEFAULT_BASE
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.store.pins import Pins

FINE, ERROR, USAGE, INTERRUPTED = 0, 1, 2, 130
PATIENCE = 20
SETTLED = 1.3  #: seconds after which a follower watches its standard input


def is_listening() -> bool:
    with host_maps.opened(Pins(DEFAULT_BASE)) as host:
        if host is None:
            return False
        with contextlib.closing(control.Control(host.control)) as opened:
            return opened.listening


def wait_until(condition, what: str):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def hears(process) -> bool:
    """Whether a follower has its maps open, or has ended."""
    if process.poll() is not None:
        return True
    with open(f"/proc/{process.pid}/maps") as mapped:
        return (
            mapped.read().count("bpf-map") >= 3 and is_listening()
        )  # two parts of the ring buffer, and the control map


@pytest.fixture
def reporting():
    """A filter on pk0 that drops all pings and reports them."""
    changed("xdp_filter", interface="pk0", policy="drop", events="dropped")
    return "pk0"


@pytest.fixture
def follow(pingkiller):
    """Start a follower, and return it once it listens. Its lines are read from its stdout."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options):
            given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
            line = [pingkiller, "events", "--follow", *arguments]
            process = stack.enter_context(subprocess.Popen(line, **given, text=True, bufsize=1))
            stack.callback(process.kill)
            wait_until(lambda: hears(process), "nobody listens")
            return process

        yield start


def ended(process) -> int:
    return process.wait(PATIENCE)


def test_a_follower_writes_every_event_as_it_comes(reporting, follow):
    follower = follow("--json")
    for number in range(3):
        before = time.monotonic()
        ping(reporting, f"192.0.2.{number}")
        event = json.loads(follower.stdout.readline())
        assert time.monotonic() - before < 5
        assert (event["src"], event["reason"], event["verdict"]) == (f"192.0.2.{number}", "policy_drop", "drop")


def test_text_says_who_sent_what_and_what_became_of_it(reporting, follow):
    follower = follow()
    ping(reporting, "192.0.2.7")
    line = follower.stdout.readline()
    assert line.split()[1:] == [
        *("lo", "drop", "policy_drop", "192.0.2.7", ">", "0.0.0.0", "echo-request,", "42", "bytes"),
    ]


def test_several_follow_at_once_also_beside_the_module(reporting, follow):
    first, second = follow("--json"), follow("--json")
    assert run("xdp_events", duration=0.01)["count"] == 0
    ping(reporting, "192.0.2.7")
    assert json.loads(first.stdout.readline())["src"] == json.loads(second.stdout.readline())["src"] == "192.0.2.7"
    first.kill()
    first.wait()
    ping(reporting, "192.0.2.8")
    assert json.loads(second.stdout.readline())["src"] == "192.0.2.8"
    assert is_listening()
    second.terminate()
    assert ended(second) == FINE
    assert not is_listening()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, FINE), (signal.SIGHUP, FINE), (signal.SIGINT, INTERRUPTED)]
)
def test_a_follower_that_is_told_to_end_does_and_nobody_listens(reporting, follow, number, status):
    follower = follow()
    follower.send_signal(number)
    assert (ended(follower), follower.stderr.read()) == (status, "")
    assert not is_listening()
    assert not os.path.exists(lock.LISTENER_LOCK_FILE)


def test_a_follower_ends_when_its_reader_goes_though_nothing_comes(reporting, follow):
    follower = follow()
    follower.stdout.close()
    assert ended(follower) == FINE
    assert not is_listening()


def test_a_follower_ends_with_its_standard_input(reporting, follow):
    follower = follow(stdin=subprocess.PIPE)
    time.sleep(SETTLED)
    follower.stdin.write("what is written to it is not read\n")
    ping(reporting, "192.0.2.7")
    assert follower.stdout.readline()
    follower.stdin.close()
    assert ended(follower) == FINE
    assert not is_listening()


def test_a_follower_on_a_socket_as_of_ssh_ends_with_it(reporting, follow):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        follower = follow("--json", stdin=theirs, stdout=theirs)
        theirs.close()
        time.sleep(SETTLED)
        ping(reporting, "192.0.2.7")
        assert b"192.0.2.7" in ours.recv(4096)
        ours.close()
        assert ended(follower) == FINE


def closed():
    os.close(0)


@pytest.mark.parametrize("given", ["null", "closed", "ended", "file", "terminal"])
def test_standard_input_that_says_nothing_does_not_end_a_follower(reporting, follow, given):
    with contextlib.ExitStack() as stack:
        options = {}
        if given == "closed":
            options["preexec_fn"] = closed
        elif given == "ended":
            reader, writer = os.pipe()
            os.close(writer)
            options["stdin"] = stack.enter_context(open(reader))
        elif given == "file":
            options["stdin"] = stack.enter_context(open("/etc/passwd"))
        elif given == "terminal":
            primary, secondary = os.openpty()
            stack.callback(os.close, primary)
            options["stdin"] = stack.enter_context(open(secondary, closefd=True))
        follower = follow("--json", "--duration", "2", **options)
        time.sleep(SETTLED)
        ping(reporting, "192.0.2.7")
        assert json.loads(follower.stdout.readline())["src"] == "192.0.2.7"
        assert ended(follower) == FINE


def test_what_was_suppressed_is_told_in_a_line_of_its_own(follow):
    changed("xdp_filter", interface="pk0", policy="drop", events="dropped", events_per_second=2)
    follower = follow("--json")
    ping("pk0", "192.0.2.7", 12)
    lines = [json.loads(follower.stdout.readline()) for _number in range(3)]
    assert [line.get("src") for line in lines] == ["192.0.2.7", "192.0.2.7", None]
    assert lines[2] == {"suppressed": 10, "lost": 0}


def test_a_flood_is_a_line_for_each_source_in_a_second(reporting, follow):
    follower = follow("--json", "--aggregate", "1", "--limit", "60")
    for source in ("192.0.2.7", "192.0.2.8"):
        ping(reporting, source, 30)
    assert ended(follower) == FINE
    groups = [json.loads(line) for line in follower.stdout]
    sums = {
        source: sum(each["count"] for each in groups if each["src"] == source) for source in ("192.0.2.7", "192.0.2.8")
    }
    assert sums == {"192.0.2.7": 30, "192.0.2.8": 30}
    assert len(groups) <= 4
    assert set(groups[0]) == {"time", "interface", "verdict", "reason", "src", "count", "bytes"}


def test_only_the_events_that_are_asked_for_are_shown(reporting, follow):
    changed("xdp_blocklist", ip="192.0.2.9")
    follower = follow("--json", "--reason", "blocklist", "--interface", "lo", "--limit", "1")
    ping(reporting, "192.0.2.7")
    ping(reporting, "192.0.2.9")
    assert ended(follower) == FINE
    (line,) = follower.stdout
    assert json.loads(line)["src"] == "192.0.2.9"


def test_a_follower_goes_on_where_the_maps_are_replaced_and_the_filter_is_set_up_again(reporting, follow):
    follower = follow("--json")
    ping(reporting, "192.0.2.1")
    changed("xdp_filter", interface="pk0", max_entries=1000)
    ping(reporting, "192.0.2.2")
    assert [json.loads(follower.stdout.readline())["src"] for _number in range(2)] == ["192.0.2.1", "192.0.2.2"]
    changed("xdp_filter", state="absent")
    changed("xdp_filter", interface="pk0", policy="drop", events="dropped")
    wait_until(is_listening, "it has not opened the new maps")
    ping(reporting, "192.0.2.3")
    assert json.loads(follower.stdout.readline())["src"] == "192.0.2.3"


def test_without_follow_the_events_of_a_while_come_at_the_end(reporting, command):
    done = command("events", "--duration", "0.1")
    assert (done.returncode, done.stdout, done.stderr) == (FINE, "no events\n", "")
    told = json.loads(command("events", "--duration", "0.1", "--json").stdout)
    assert told == {"events": [], "count": 0, "suppressed": 0, "lost": 0}


@pytest.mark.parametrize("follows", [(), ("--follow",)])
def test_a_host_whose_filters_report_nothing_is_told_how_to_make_them(command, follows):
    expected = (
        "pingkiller: no filter on this host reports events: set events of xdp_filter to dropped, all_icmp or trace\n"
    )
    changed("xdp_filter", interface="pk0", events="dropped")
    changed("xdp_filter", interface="pk0", events="none")  # the buffer is still there
    for _time in range(2):
        done = command("events", *follows)
        assert (done.returncode, done.stdout, done.stderr) == (ERROR, "", expected)
        run("xdp_filter", state="absent")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--duration", "0"), "'0' is no such time: give 0.001 to 1000000000 seconds"),
        (("--duration", "nan"), "'nan' is no such time"),
        (("--limit", "0"), "'0' is no such number: give 1 to 999999999"),
        (("--reason", "spam"), "invalid choice: 'spam'"),
    ],
)
def test_options_that_leave_nothing_are_refused(command, arguments, said):
    done = command("events", *arguments)
    assert done.returncode == USAGE
    assert said in done.stderr


def test_an_interface_that_does_not_exist_is_refused(reporting, command):
    done = command("events", "--interface", "nosuch0")
    assert (done.returncode, done.stderr) == (
        ERROR,
        "pingkiller: --interface='nosuch0' is no interface of this host: see ip link\n",
    )


def test_a_follower_says_in_a_sentence_that_the_disk_is_full(reporting, follow):
    with open("/dev/full", "w") as full:
        follower = follow(stdout=full)
        ping(reporting, "192.0.2.7")
        assert ended(follower) == ERROR
    assert follower.stderr.read().startswith("pingkiller: a system call failed ([Errno 28]")
    assert not is_listening()
