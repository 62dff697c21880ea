# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of processes report what the processes did."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import threading
import time

import pytest
from loads import (
    ON_X86,
    call_myself,
    child,
    enter_pid_namespace,
    fork_as,
    look,
    number,
    raw_call,
    unique_name,
    wait,
    wait_for,
)
from test_calls import program32

ENDLESS = 10**6  #: events


def events_of(result: dict, kind: str, **values) -> list[dict]:
    wanted = {"event": kind, **values}
    return [each for each in result["events"] if all(each[name] == value for name, value in wanted.items())]


def look_at_family(work, prepare=lambda: None, **options) -> tuple[dict, object]:
    """Look at a load and its descendants, as long as they have the load's name."""
    name = unique_name()

    def prepared():
        call_myself(name)()
        prepare()

    return look(work, prepare=prepared, probe="processes", **{"comm": name, "limit": ENDLESS, **options})


def test_every_child_is_told_once_with_its_parent_and_its_end():
    made = 200

    def work():
        for each in range(made):
            wait(child(lambda each=each: each % 256))

    result, load = look_at_family(work)
    births = events_of(result, "clone", thread=False)
    exits = [each for each in events_of(result, "exit") if each["pid"] != load.pid]
    assert {each["parent"] for each in births} == {load.pid}
    assert [each["pid"] for each in births] == [each["pid"] for each in exits]
    assert [each["status"] for each in exits] == list(range(made))
    assert {each["signal"] for each in exits} == {None}
    assert result["total"] == {"clone": made, "fork": 0, "vfork": 0, "clone3": 0, "exec": 0, "exit": made + 1}
    assert [result["counts"][0][kind] for kind in ("clone", "exit")] == [made, made + 1]
    assert (result["lost"], result["outside"], result["unfinished"]) == (0, 0, 0)
    times = [each["time"] for each in result["events"]]
    assert times == sorted(times)


@pytest.mark.skipif(not ON_X86, reason="arm64 has neither fork nor vfork")
def test_births_are_told_by_the_call_that_made_them():
    def fork():
        pid = raw_call(number("fork"))
        if not pid:
            os._exit(1)
        wait(pid)

    def clone3():
        pid = fork_as()
        if not pid:
            os._exit(2)
        wait(pid)

    def work():
        fork()
        clone3()
        wait(child(lambda: 3))

    result, load = look_at_family(work)
    born = {kind: events_of(result, kind)[0]["pid"] for kind in ("fork", "clone3", "clone")}
    status = {each["pid"]: each["status"] for each in events_of(result, "exit")}
    assert [status[born[kind]] for kind in ("fork", "clone3", "clone")] == [1, 2, 3]


def test_an_exec_is_told_with_its_path_under_its_new_name():
    result, load = look(lambda: os.execv("/bin/sleep", ["sleep", "0"]), probe="processes")
    (executed,) = events_of(result, "exec")
    assert (executed["pid"], executed["comm"], executed["path"]) == (load.pid, "sleep", "/bin/sleep")
    (ended,) = events_of(result, "exit")
    assert (ended["comm"], ended["status"]) == ("sleep", 0)


def test_an_exec_that_fails_is_none_and_leaves_no_path_to_the_next():
    def work():
        with pytest.raises(FileNotFoundError):
            os.execv("/nowhere/at/all", ["all"])
        os.execv("/bin/true", ["true"])

    result, _load = look(work, probe="processes")
    assert [each["path"] for each in events_of(result, "exec")] == ["/bin/true"]


def test_an_exec_in_a_thread_takes_over_the_process_whose_end_is_still_to_come():
    """For exec the kernel kills the other threads. This is not the end of the process."""
    shell = ["sh", "-c", "ulimit -c 0; kill -QUIT $$"]

    def work():
        thread = threading.Thread(target=os.execv, args=("/bin/sh", shell))
        thread.start()
        thread.join()

    result, load = look(work, probe="processes", status=-signal.SIGQUIT)
    assert [each["pid"] for each in events_of(result, "exec")] == [load.pid]
    last = events_of(result, "exit", comm="sh")
    assert [(each["pid"], each["status"], each["signal"]) for each in last] == [(load.pid, None, "SIGQUIT")]


@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT])
def test_who_was_killed_is_told_by_which_signal(deadly):
    def work():
        pid = child(signal.pause)
        os.kill(pid, deadly)
        wait(pid)

    def careful():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    result, load = look_at_family(work, prepare=careful)
    (killed,) = [each for each in events_of(result, "exit") if each["pid"] != load.pid]
    assert (killed["status"], killed["signal"]) == (None, deadly.name)


def test_a_signal_that_is_handled_or_ends_nothing_does_not_count():
    def work():
        def live():
            signal.signal(signal.SIGUSR1, lambda *_arguments: None)
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            for each in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG):
                os.kill(os.getpid(), each)
            return 5

        wait(child(live))

    result, load = look_at_family(work)
    (ended,) = [each for each in events_of(result, "exit") if each["pid"] != load.pid]
    assert (ended["status"], ended["signal"]) == (5, None)


def test_a_child_that_is_killed_before_it_first_runs_is_told():
    """The parent has real-time priority and keeps their only processor until the child is dead."""

    def work():
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        pid = child(lambda: 3)
        os.kill(pid, signal.SIGKILL)
        wait(pid)

    result, load = look_at_family(work)
    (born,) = events_of(result, "clone")
    (ended,) = events_of(result, "exit", pid=born["pid"])
    assert (born["parent"], ended["signal"]) == (load.pid, "SIGKILL")


def test_threads_are_told_apart_from_processes():
    def work():
        threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _each in range(10)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    result, load = look_at_family(work)
    births = events_of(result, "clone", thread=True) + events_of(result, "clone3", thread=True)
    assert len(births) == 10
    assert {each["parent"] for each in births} == {load.pid}
    assert len({each["pid"] for each in births} | {load.pid}) == 11
    assert len(events_of(result, "exit", thread=True)) == 10
    assert len(events_of(result, "exit", thread=False)) == 1


def test_all_threads_end_with_the_status_of_their_process():
    def work():
        threading.Thread(target=signal.pause).start()
        os._exit(9)

    result, _load = look(work, probe="processes", status=9)
    assert {(each["status"], each["signal"]) for each in events_of(result, "exit")} == {(9, None)}


def test_how_long_a_process_lived_is_told():
    def work():
        wait(child(lambda: time.sleep(0.05)))

    before = time.monotonic_ns()
    result, load = look_at_family(work)
    took = time.monotonic_ns() - before
    lived = {each["pid"]: each["lifetime_ns"] for each in events_of(result, "exit")}
    (born,) = events_of(result, "clone")
    assert 50_000_000 <= lived[born["pid"]] <= took
    assert lived[born["pid"]] <= lived[load.pid] + 10_000_000 <= took + 20_000_000  # the load began before the look


def test_who_is_told_of_is_told_by_name():
    result, _load = look(lambda: None, prepare=lambda: os.setuid(1), probe="processes")
    (ended,) = events_of(result, "exit")
    assert ended["user"] == pwd.getpwuid(1).pw_name


def test_processes_in_nested_pid_namespaces_are_told_under_the_pids_that_are_known_here():
    def work():
        enter_pid_namespace()
        wait(child(lambda: 4))

    result, load = look_at_family(work)
    (born,) = events_of(result, "clone")
    assert (born["parent"], events_of(result, "exit", pid=born["pid"])[0]["status"]) == (load.pid, 4)


def test_a_pid_that_is_given_again_is_told_with_the_end_of_each():
    def work():
        pid = child(lambda: signal.raise_signal(signal.SIGKILL))
        wait(pid)
        again = fork_as(pid)
        if not again:
            raw_call(number("exit"), 6)  # unlike exit_group, it ends only the calling thread
        wait(pid)

    result, load = look_at_family(work)
    ends = [(each["status"], each["signal"]) for each in events_of(result, "exit") if each["pid"] != load.pid]
    assert ends == [(None, "SIGKILL"), (6, None)]


def test_the_look_ends_with_the_event_that_reaches_the_limit():
    def work():
        for _each in range(50):
            wait(child(lambda: 0))

    result, _load = look_at_family(work, limit=7, until=lambda _result, _load: False)
    assert (len(result["events"]), result["stopped"], sum(result["total"].values())) == (7, "limit", 7)


def test_events_that_find_the_buffer_full_are_lost_and_not_passed_over(sizes):
    sizes(EVENT_PAGES=1)
    made = 100

    def work():
        for _each in range(made):
            wait(child(lambda: 0))

    def unread(_result, load):
        return wait_for(load.has_ended)

    result, _load = look_at_family(work, until=unread)
    assert result["lost"] > 0
    assert len(result["events"]) + result["lost"] == 2 * made + 1


@pytest.mark.skipif(not ON_X86, reason="the program is one for x86")
def test_a_32_bit_program_ends_with_its_status(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(program32(writes=1, status=7))
    program.chmod(0o755)
    result, _load = look(lambda: os.execv(program, ["program"]), probe="processes", status=7)
    assert [each["path"] for each in events_of(result, "exec")] == [str(program)]
    assert [each["status"] for each in events_of(result, "exit")] == [7]
