# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes that make a known load, and helpers that trace them in the real kernel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
import threading
import time
import traceback
from pathlib import Path

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller import trace
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.command import runtime
from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.trace import syscalls

BPF = Path(__file__).resolve().parents[2] / "bpf"
SOURCES = runtime.of_tracers({path.relative_to(BPF).as_posix(): path.read_text() for path in BPF.rglob("*.[ch]")})
PATIENCE = 120  #: seconds; machines with other kernels are emulated and slow

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_NAME = 15
NEW_PID_NAMESPACE = 0x20000000
_CLONE3 = 435


class Load:
    """A process that waits at a gate and does its work once the gate is opened. It never outlives the test."""

    def __init__(self, work, prepare=lambda: None) -> None:
        self._gate, self._opened = os.pipe()
        ready, told = os.pipe()
        self.status: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _be_the_load(work, prepare, self._gate, self._opened, told)
        os.close(self._gate)
        os.close(told)
        assert os.read(ready, 1), "the load did not get ready"
        os.close(ready)

    def open(self) -> None:
        if self._opened >= 0:
            os.close(self._opened)  # the load reads the end of the file
            self._opened = -1

    def has_ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = (
                os.WEXITSTATUS(status) if pid and os.WIFEXITED(status) else -os.WTERMSIG(status) if pid else None
            )
        return self.status is not None

    def close(self) -> None:
        self.open()
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _be_the_load(work, prepare, gate, opened, told):
    status = 70
    try:
        os.close(opened)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        prepare()
        os.write(told, b"x")
        os.close(told)
        os.read(gate, 1)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def checked(**options) -> trace.Request:
    return trace.Request.checked(**{"duration": PATIENCE, **options})


def look(work, prepare=lambda: None, until=None, status=0, **options) -> tuple[dict, Load]:
    """Look at a load from before it begins until it has ended; return the result and the load.

    Without another selection in the options, the load is selected by its pid. ``until``, which is called with the
    result so far and the load, returns true when the look shall stop instead.
    """
    with contextlib.closing(Load(work, prepare)) as load:
        if not {"pid", "comm", "user", "cgroup", "unit"} & set(options):
            options["pid"] = load.pid
        over = until or (lambda _result, load: load.has_ended())
        result = watch_until(lambda result: load.open() or over(result, load), **options)
        if until is None:
            assert load.status == status, "the load did not end well"
    return result, load


def watch_until(over, **options) -> dict:
    """Return the last result of a look that ends when ``over``, called with each result so far, returns true."""
    stop = threading.Event()
    result: dict = {}
    for result in trace.watch(checked(**options), SOURCES, every=0.05, stop=stop):
        if not stop.is_set() and over(result):
            stop.set()
    assert result["stopped"] != "duration", "what was waited for did not happen"
    return result


def wait_for(condition):
    """Wait until ``condition`` returns something true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.01)


def row(result: dict, **values) -> dict:
    """Return the only row with these values."""
    rows = [each for each in result["rows"] if all(each[name] == value for name, value in values.items())]
    assert len(rows) == 1, (values, result["rows"])
    return rows[0]


def calls_of(result: dict, name: str) -> int:
    return sum(each["calls"] for each in result["rows"] if each["syscall"] == name)


def call_myself(name: str):
    """Return a function that gives a load this command name."""
    return lambda: _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def unique_name() -> str:
    return f"pk{os.getpid()}.{time.monotonic_ns() % 10**6}"


def enter_pid_namespace() -> None:
    """Put later children of this process into a new PID namespace."""
    assert _libc.unshare(NEW_PID_NAMESPACE) == 0, os.strerror(ctypes.get_errno())


def fork_as(pid: int | None = None) -> int:
    """Fork by clone3(2); the child has this pid."""
    tids = struct.pack("=i", pid or 0)
    address = ctypes.cast(ctypes.c_char_p(tids), ctypes.c_void_p).value
    arguments = struct.pack("=11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, address if pid else 0, 1 if pid else 0, 0)
    return raw_call(_CLONE3, ctypes.c_char_p(arguments), len(arguments))


def raw_call(number: int, *arguments) -> int:
    result = _libc.syscall(number, *arguments)
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result


def child(work) -> int:
    """Fork a child that calls ``work`` and exits with what that returns, or 0; return the child's pid."""
    pid = os.fork()
    if not pid:
        os._exit(work() or 0)
    return pid


def wait(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def write_times(times: int, size: int = 1, path: str = "/dev/null") -> None:
    fd = os.open(path, os.O_WRONLY)
    data = b"x" * size
    for _each in range(times):
        os.write(fd, data)
    os.close(fd)


def number(name: str) -> int:
    """Return the number of a system call."""

    return syscalls.numbers()[name]


ON_X86 = platform.machine() == "x86_64"
PYTHON = [sys.executable, "-B"]
