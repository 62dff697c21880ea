# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of system calls are exact."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from loads import (
    ON_X86,
    call_myself,
    calls_of,
    child,
    enter_pid_namespace,
    fork_as,
    look,
    raw_call,
    row,
    unique_name,
    wait,
    write_times,
)

MANY = 100_000
NOBODY = 100_000 + os.getpid()  # a uid of no other process, and of no other test that runs at the same time


def test_every_write_is_in_the_row_of_its_descriptor_with_its_bytes(tmp_path):
    files = {name: str(tmp_path / name) for name in ("small", "large")}

    def work():
        small, large = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in files.values())
        for _each in range(MANY // 2):
            os.write(small, b"1234567")
            os.write(large, b"x" * 1000)
        for _each in range(3):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(999, b"nowhere")

    result, load = look(work, probe="syscall", name="write", small_bytes=8)
    assert (result["calls"], result["errors"], result["lost"], result["unfinished"]) == (MANY + 3, 3, 0, 0)
    assert result["bytes"] == MANY // 2 * 1007
    assert result["rows_total"] == 3
    small, large = (row(result, target=path) for path in files.values())
    assert (small["pid"], small["user"], small["calls"], small["bytes"]) == (load.pid, "root", MANY // 2, MANY // 2 * 7)
    assert (large["calls"], large["bytes"], large["errors"]) == (MANY // 2, MANY // 2 * 1000, {})
    assert small["small"] == {"calls": MANY // 2, "bytes": MANY // 2 * 7}
    assert large["small"] == {"calls": 0, "bytes": 0}
    failed = row(result, fd=999)
    assert (failed["calls"], failed["bytes"], failed["errors"], failed["target"]) == (3, 0, {"EBADF": 3}, None)


def test_calls_and_their_errors_are_counted_by_name():
    def work():
        for _each in range(MANY // 10):
            os.getppid()
        for _each in range(7):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.close(999)

    result, _load = look(work, by=("syscall",), top=0)
    assert row(result, syscall="getppid") == {"syscall": "getppid", "calls": MANY // 10, "errors": {}}
    assert row(result, syscall="close")["errors"] == {"EBADF": 7}
    assert result["calls"] == sum(each["calls"] for each in result["rows"])
    assert result["errors"] == sum(sum(each["errors"].values()) for each in result["rows"])
    assert (result["lost"], result["outside"]) == (0, 0)


@pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace to compare with")
def test_counts_are_those_of_strace(tmp_path):
    command = ["/bin/sh", "-c", "ls / >/dev/null; ls /etc >/dev/null; ls /nowhere 2>/dev/null; :"]
    subprocess.run(["strace", "-f", "-c", "-o", tmp_path / "summary", *command], check=True, timeout=100)
    lines = [line.split() for line in (tmp_path / "summary").read_text().splitlines()]
    of_strace = {
        line[-1]: int(line[3]) for line in lines if len(line) in (5, 6) and line[3].isdigit() and line[-1] != "total"
    }
    result, _load = look(
        lambda: os.execv(command[0], command), prepare=lambda: os.setuid(NOBODY), user=NOBODY, by=("syscall",), top=0
    )
    ours = {each["syscall"]: each["calls"] for each in result["rows"]}
    assert ours.pop("exit_group") == 4  # strace leaves it out, since it does not return
    assert ours == of_strace


def test_what_the_threads_of_a_process_call_is_the_process_s():
    def work():
        threads = [threading.Thread(target=write_times, args=(1000,)) for _each in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    result, load = look(work, by=("pid", "syscall"), top=0)
    assert row(result, pid=load.pid, syscall="write")["calls"] == 4000
    assert result["rows_total"] == len({each["syscall"] for each in result["rows"]})


def test_processes_in_nested_pid_namespaces_are_counted_under_the_pids_that_are_known_here():
    name, seen = unique_name(), []

    def work():
        enter_pid_namespace()

        def first():
            assert os.getpid() == 1
            enter_pid_namespace()
            wait(child(lambda: write_times(20)))
            write_times(10)

        wait(child(first))

    result, load = look(work, prepare=call_myself(name), comm=name, by=("pid", "syscall"), top=0)
    writes = sorted((each["calls"], each["pid"]) for each in result["rows"] if each["syscall"] == "write")
    assert [calls for calls, _pid in writes] == [10, 20]
    assert all(pid > load.pid for _calls, pid in writes)
    assert (result["outside"], seen) == (0, [])


def test_a_call_that_began_before_the_look_is_not_counted():
    """The load waits in a read when the look begins."""
    result, _load = look(lambda: None, by=("syscall",), top=0)
    assert calls_of(result, "read") == 0
    assert calls_of(result, "exit_group") == 1


def test_a_call_that_has_not_returned_at_the_end_is_unfinished():
    def work():
        end, _other = os.pipe()
        os.read(end, 1)

    result, _load = look(work, until=lambda result, _load: result["unfinished"], probe="syscall", name="read")
    assert (result["unfinished"], result["calls"], result["rows"]) == (1, 0, [])


def test_a_call_whose_process_is_killed_is_counted_once():
    def work():
        end, _other = os.pipe()
        os.read(end, 1)

    def over(result, load):
        if result["unfinished"]:
            os.kill(load.pid, signal.SIGKILL)
        return load.has_ended()

    result, _load = look(work, until=over, probe="syscall", name="read")
    assert result["calls"] + result["unfinished"] == 1


def test_a_call_that_ends_its_thread_is_unfinished():
    """reboot(2) in a PID namespace ends its caller within the call."""
    name = unique_name()

    def halt():
        if os.getpid() == 1:  # in the namespace: elsewhere it would reboot this machine
            raw_call(169 if ON_X86 else 142, 0xFEE1DEAD, 672274793, 0xCDEF0123, 0)

    def work():
        enter_pid_namespace()
        wait(child(halt))

    result, _load = look(work, prepare=call_myself(name), comm=name, probe="syscall", name="reboot")
    assert (result["calls"], result["unfinished"]) == (0, 1)


def test_two_processes_with_one_pid_after_another_have_two_rows():
    name = unique_name()

    def work():
        pid = child(lambda: write_times(3))
        wait(pid)
        again = fork_as(pid)
        if not again:
            write_times(5)
            os._exit(0)
        assert again == pid
        wait(pid)

    result, load = look(work, prepare=call_myself(name), comm=name, by=("pid", "syscall"), top=0)
    writes = [each for each in result["rows"] if each["syscall"] == "write"]
    assert sorted(each["calls"] for each in writes) == [3, 5]
    assert len({each["pid"] for each in writes}) == 1


def test_a_process_whose_first_thread_has_ended_stays_one_row():
    def work():
        def rest():
            os.kill(os.getpid(), 0)
            write_times(7)
            os._exit(0)

        write_times(4)
        threading.Thread(target=rest).start()
        raw_call(60 if ON_X86 else 93, 0)

    result, load = look(work, by=("pid", "syscall"), top=0)
    assert row(result, pid=load.pid, syscall="write")["calls"] == 11


@pytest.mark.parametrize("from_thread", [False, True])
def test_an_exec_is_counted_once_under_the_name_of_who_called_it(from_thread):
    name = unique_name()

    def execute():
        os.execv("/bin/true", ["true"])

    def work():
        if from_thread:
            thread = threading.Thread(target=execute)
            thread.start()
            thread.join()
        execute()

    result, _load = look(work, prepare=call_myself(name), by=("comm", "syscall"), top=0)
    assert row(result, syscall="execve") == {"comm": name, "syscall": "execve", "calls": 1, "errors": {}}
    assert row(result, syscall="exit_group")["comm"] == "true"


def test_the_end_of_a_signal_handler_has_not_failed_with_the_call_that_it_interrupted():
    class Rang(Exception):
        pass

    def ring(*_arguments):
        raise Rang

    def work():
        end, _other = os.pipe()
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Rang):
            os.read(end, 1)

    result, _load = look(work, by=("syscall",), top=0)
    assert row(result, syscall="read")["errors"] == {"ERESTARTSYS": 1}
    assert row(result, syscall="rt_sigreturn") == {"syscall": "rt_sigreturn", "calls": 1, "errors": {}}


def test_exit_is_counted_though_it_never_returns_and_has_no_time():
    result, _load = look(lambda: None, by=("syscall",), latency=True, top=0)
    ended = row(result, syscall="exit_group")
    assert (ended["calls"], ended["total_ns"], ended["average_ns"], ended["histogram"]) == (1, 0, None, [])


def test_times_are_measured_and_short_calls_can_be_left_out():
    def work():
        for _each in range(3):
            time.sleep(0.3)  # until a time that Python computes before the call
        write_times(1000)

    result, _load = look(work, by=("syscall",), latency=True, top=0)
    slept = result["rows"][0]
    assert slept["syscall"] in ("clock_nanosleep", "pselect6", "select")
    assert slept["calls"] == sum(each["calls"] for each in slept["histogram"]) == 3
    assert slept["total_ns"] >= 3 * 200_000_000
    assert slept["max_ns"] >= slept["p99_ns"] >= slept["p50_ns"] >= 1 << 27
    assert all(each["from_ns"] <= slept["max_ns"] for each in slept["histogram"])
    assert slept["max_ns"] <= slept["histogram"][-1]["to_ns"]
    result, _load = look(work, by=("syscall",), min_us=200_000, top=0)
    assert calls_of(result, slept["syscall"]) == 3
    assert calls_of(result, "write") == 0


def test_histogram_of_a_look_is_that_of_all_rows_however_few_are_returned():
    result, _load = look(lambda: write_times(100), by=("syscall",), latency=True, top=1)
    assert result["rows_total"] > len(result["rows"]) == 1
    assert sum(each["calls"] for each in result["histogram"]) > sum(each["calls"] for each in result["rows"])
    assert sum(each["calls"] for each in result["histogram"]) + 1 == result["calls"]  # exit_group has no duration


def test_slow_calls_are_summed_up_apart():
    def work():
        here, there = socket.socketpair()
        pid = child(lambda: time.sleep(1) or there.send(b"x") and 0)
        here.recv(1)
        wait(pid)

    result, _load = look(work, probe="syscall", name="recvfrom", slow_ms=20)
    (waited,) = result["rows"]
    assert waited["slow"]["calls"] == 1
    assert waited["slow"]["total_ns"] == waited["total_ns"] >= 20_000_000


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_a_socket_is_named_by_its_ends(family, tmp_path):
    address = (
        str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1" if family == socket.AF_INET else "::1", 0)
    )
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(address)
        server.listen()
        listening = server.getsockname()

        def work():
            with socket.socket(family, socket.SOCK_STREAM) as client:
                client.connect(listening)
                with server.accept()[0] as accepted:
                    for _each in range(100):
                        accepted.sendall(b"hello")
                    signal.pause()

        def over(result, _load):
            return result["calls"] == 100 and "socket:" not in (result["rows"][0]["target"] or "socket:")

        result, _load = look(work, until=over, probe="syscall", name="sendto")
    (sent,) = result["rows"]
    assert (sent["calls"], sent["bytes"]) == (100, 500)
    if family == socket.AF_UNIX:
        assert sent["target"] == f"unix {listening}"
    else:
        host = "[::1]" if family == socket.AF_INET6 else "127.0.0.1"
        assert sent["target"].startswith(f"tcp {host}:{listening[1]} -> {host}:")


def test_a_call_without_descriptor_has_none():
    result, _load = look(lambda: os.getppid(), probe="syscall", name="getppid")
    (only,) = result["rows"]
    assert (only["calls"], only["fd"], only["target"], only["bytes"], result["bytes"]) == (1, None, None, None, None)
    assert only["small"] == {"calls": None, "bytes": None}


def test_calls_that_find_the_rows_full_are_lost_and_not_passed_over(sizes):
    sizes(ROWS=4)
    name = unique_name()

    def work():
        for _each in range(20):
            wait(child(lambda: write_times(10)))

    result, _load = look(work, prepare=call_myself(name), comm=name, probe="syscall", name="write")
    assert result["calls"] == 10 * len(result["rows"])
    assert result["calls"] < 200
    assert result["calls"] + result["lost"] == 200


def test_calls_that_find_no_room_to_be_noted_are_lost_and_not_passed_over(sizes):
    sizes(TASKS=1)
    name = unique_name()

    def work():
        gate, opened = socket.socketpair()

        def wait_there():
            opened.close()
            gate.recv(1)

        waiting = [child(wait_there) for _each in range(50)]
        opened.close()
        for each in waiting:
            wait(each)

    result, _load = look(work, prepare=call_myself(name), comm=name, probe="syscall", name="recvfrom")
    assert result["lost"] > 0
    assert result["calls"] + result["lost"] == 50


def test_top_bounds_the_rows_and_says_how_many_there_are():
    result, _load = look(lambda: write_times(10), by=("syscall",), top=1)
    assert [each["syscall"] for each in result["rows"]] == ["write"]
    assert result["rows_total"] > 1
    assert result["calls"] > 10


@pytest.mark.skipif(not ON_X86, reason="the program is one for x86")
def test_calls_of_a_32_bit_program_are_not_taken_for_others(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(program32(writes=5, status=7))
    program.chmod(0o755)

    def work():
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        os.execv(program, ["program"])

    try:
        subprocess.run([program], stdout=subprocess.DEVNULL, check=False)
    except OSError as error:
        pytest.skip(f"this kernel runs no 32-bit programs: {error.strerror}")
    result, load = look(work, by=("comm", "syscall"), top=0, status=7)
    assert {each["syscall"]: each["calls"] for each in result["rows"] if each["comm"] == "program"} == {
        "32-bit 4": 5,
        "32-bit 1": 1,
    }


def program32(writes: int, status: int) -> bytes:
    """Return a program for i386 that writes a byte to descriptor 1, ``writes`` times, and exits."""
    start = 0x08048054
    loop = (
        b"\xb8\x04\0\0\0"
        + b"\xbb\x01\0\0\0"
        + b"\xb9"
        + start.to_bytes(4, "little")
        + b"\xba\x01\0\0\0\xcd\x80\x4e\x75\xe7"
    )
    code = (
        b"\xbe"
        + writes.to_bytes(4, "little")
        + loop
        + b"\xb8\x01\0\0\0\xbb"
        + status.to_bytes(4, "little")
        + b"\xcd\x80"
    )
    header = b"\x7fELF\x01\x01\x01" + bytes(9) + bytes.fromhex("0200030001000000") + start.to_bytes(4, "little")
    header += bytes.fromhex("340000000000000000000000340020000100000000000000")
    size = (0x54 + len(code)).to_bytes(4, "little")
    segment = (
        (1).to_bytes(4, "little")
        + bytes(4)
        + bytes.fromhex("00800408" * 2)
        + size * 2
        + bytes.fromhex("0500000000100000")
    )
    return header + segment + code
