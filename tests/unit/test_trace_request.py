# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which requests for the tracers are accepted, and the names of system calls, errors and signals."""

from __future__ import annotations

import os
import queue
import re
import threading

import pytest

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import trace
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.errors import PingKillerError
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import (
    layout,
    scope,
    sockets,
    syscalls,
    words,
)

REFUSED = {
    "a probe that there is not": ({"probe": "syscal"}, "probe='syscal' is not a probe (did you mean syscall?)"),
    "no time": ({"duration": 0}, "duration=0 is out of range"),
    "more than an hour": (
        {"duration": 3601.0},
        "duration=3601 is out of range: give more than 0, and up to 3600 seconds",
    ),
    "a time that is no number": ({"duration": float("nan")}, "duration=nan"),
    "no events": ({"probe": "processes", "limit": 0}, "limit=0 is out of range: give 1"),
    "less than no rows": ({"top": -1}, "top=-1 is out of range: give 0"),
    "a time without end": ({"min_us": float("inf")}, "min_us=inf is out of range"),
    "nothing to count by": ({"by": []}, "by='' is empty"),
    "the same twice": ({"by": ["pid", "pid"]}, "by='pid,pid' is empty or has a key twice"),
    "something unknown to count by": ({"by": ["pids"]}, "by: 'pids' is not a key to count by (did you mean pid?)"),
    "a call that there is not": ({"probe": "syscall", "name": "wrlte"}, "name='wrlte' is not a system call"),
    "a call without name": ({"probe": "syscall", "name": ""}, "name='' is not a system call"),
    "a process that there is not": ({"pid": 2**22 + 1}, "is not a process on this host"),
    "the process that looks": ({"pid": os.getpid()}, "is the process that traces"),
    "a user that there is not": ({"user": "no such user"}, "user='no such user' is not a user of this host"),
    "a uid that nobody can have": ({"user": "4294967296"}, "is not a user of this host"),
    "a user with a zero byte": ({"user": "root\0"}, "is not a user of this host"),
    "a command whose name is too long": ({"comm": "a" * 16}, "has 16 bytes"),
    "a command without name": ({"comm": ""}, "has 0 bytes"),
    "two cgroups": ({"unit": "ssh.service", "cgroup": "/x"}, "unit and cgroup are two ways to name one thing"),
    "a budget of nothing": ({"max_overhead": 0.0}, "max_overhead=0 is not a percentage"),
    "a name for all calls": ({"name": "read"}, "name has no effect on the probe syscalls, only on syscall"),
    "rows of events": ({"probe": "processes", "top": 3}, "top has no effect on the probe processes"),
    "a limit of calls": ({"limit": 5}, "limit has no effect on the probe syscalls"),
}


@pytest.mark.parametrize(
    ("number", "name"), [(9, "SIGKILL"), (33, "signal 33"), (34, "SIGRTMIN"), (37, "SIGRTMIN+3"), (64, "SIGRTMAX")]
)
def test_signal_has_the_name_that_kill_knows_it_by(number, name):
    """The C library reserves the first real-time signals of the kernel, and has no names for them."""
    assert words.signal_name(number) == name


def test_a_thread_is_no_process_though_proc_knows_it():
    told, enough = queue.Queue(), threading.Event()
    thread = threading.Thread(target=lambda: (told.put(threading.get_native_id()), enough.wait()))
    thread.start()
    try:
        with pytest.raises(PingKillerError, match=f"is a thread of the process {os.getpid()}: give that one"):
            trace.Request.checked(pid=told.get())
    finally:
        enough.set()
        thread.join()


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_sentence(case):
    options, words = REFUSED[case]
    with pytest.raises(PingKillerError) as refusal:
        trace.Request.checked(**options)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_not_given_is_what_is_documented():
    request = trace.Request.checked(probe=None, limit=None, by=None, top=None, user=None)
    assert (request.probe, request.duration, request.limit, request.top) == ("syscalls", 5.0, 1000, 20)
    assert request.by == ("comm", "syscall")
    assert trace.Request.checked(probe="syscall").name == "write"


def test_a_user_is_given_by_name_or_by_number():
    assert trace.Request.checked(user="root").user == trace.Request.checked(user=0).user == 0
    assert trace.Request.checked(user="61234").user == 61234


@pytest.mark.parametrize("user", ["root", "61234"])
def test_root_is_a_user_whose_calls_alone_can_be_looked_at_like_any_other(user):
    request = trace.Request.checked(user=user)
    assert scope.definitions(request, None)["ONLY_USER"] == str(request.user)
    assert "ONLY_USER" not in scope.definitions(trace.Request.checked(), None)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_number_is_one_call(machine):
    numbers = syscalls.numbers(machine)
    assert len(set(numbers.values())) == len(numbers)
    known = {
        "x86_64": {"read": 0, "execve": 59, "io_pgetevents": 333},
        "aarch64": {"read": 63, "execve": 221, "rseq": 293},
    }
    for name, number in {**known[machine], "clone3": 435, "openat2": 437, "mseal": 462}.items():
        assert numbers[name] == number


def test_calls_that_are_known_for_what_they_do_exist():
    everywhere = {*syscalls.numbers("x86_64"), *syscalls.numbers("aarch64")}
    assert everywhere >= syscalls.WITH_DESCRIPTOR
    assert everywhere >= syscalls.WITH_LENGTH


def test_a_processor_that_is_not_known_has_no_calls():
    assert syscalls.numbers("riscv64") == {}


def test_a_number_without_name_says_where_it_is_from():
    names = {0: "read"}
    assert syscalls.name_of(0, names) == "read"
    assert syscalls.name_of(9999, names) == "9999"
    assert syscalls.name_of(1 << 31 | 4, names) == "32-bit 4"
    assert syscalls.name_of(1 << 30 | 512, names) == "x32 512"


@pytest.mark.parametrize(("number", "name"), [(2, "ENOENT"), (512, "ERESTARTSYS"), (4000, "4000")])
def test_an_error_has_its_name(number, name):
    assert syscalls.error_name(number) == name


def test_both_sides_lay_out_the_same(sources_of_tracers):
    """Compute the sizes from the C source: numbers of 8, 4 and 1 bytes, none of which needs padding."""
    sizes = {"u64": 8, "u32": 4, "s32": 4, "char": 1}
    constants = {"[COMM]": 16, "[PATH]": 256, "[BUCKETS]": layout.BUCKETS, "": 1}

    def size_of(name: str) -> int:
        body = re.search(rf"^struct {name} {{\n(.*?)^}};", sources_of_tracers, re.DOTALL | re.MULTILINE)[1]
        fields = re.findall(r"^\t(u64|u32|s32|char) \w+(\[\w+\]|);", body, re.MULTILINE)
        return sum(sizes[kind] * constants[length] for kind, length in fields)

    assert size_of("missed") == layout.MISSED.size
    assert size_of("row_key") == layout.ROW_KEY.size
    assert size_of("row") == layout.row_size(timed=True)
    assert size_of("birth") == layout.BIRTH.size
    assert size_of("event") == layout.EVENT.size + 256


@pytest.fixture
def sources_of_tracers():
    from ansible_collections.pingkiller.fleet.plugins.plugin_utils._runtime import read_trace_sources

    return "\n".join(read_trace_sources().values())


@pytest.mark.parametrize(
    ("protocol", "local", "remote", "shown"),
    [
        ("tcp", "0100007F:0016", "0200000A:1388", "tcp 127.0.0.1:22 -> 10.0.0.2:5000"),
        ("udp", "00000000:0035", "00000000:0000", "udp 0.0.0.0:53"),
        ("tcp6", "00000000000000000000000001000000:0016", f"{'0' * 32}:0000", "tcp [::1]:22"),
    ],
)
def test_the_ends_of_a_socket_are_written_as_users_write_them(protocol, local, remote, shown, tmp_path):
    line = (
        f"   0: {local} {remote} 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100"
    )
    (tmp_path / protocol).write_text(f"  sl  local_address rem_address   st ...\n{line}\n")
    assert list(sockets.describe(str(tmp_path))) == [("4711", shown)]
