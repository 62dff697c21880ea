# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a module at any system call of Python or BCC: kill it there, or answer in place of the kernel.

The kernel passes the calls of the module's process to this one (seccomp_unotify(2)), which decides about each call.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

#: Calls that change or read something outside the process, by machine. 64-bit ARM has the generic table.
_CALLS = {
    "x86_64": {
        "bpf": 321,
        "sendto": 44,
        "mkdir": 83,
        "rmdir": 84,
        "unlink": 87,
        "unlinkat": 263,
        "rename": 82,
        "chmod": 90,
        "mount": 165,
        "ftruncate": 77,
        "symlink": 88,
    }
}.get(
    platform.machine(),
    {
        "bpf": 280,
        "sendto": 206,
        "mkdirat": 34,
        "unlinkat": 35,
        "renameat": 38,
        "fchmodat": 53,
        "mount": 40,
        "ftruncate": 46,
    },
)
_NAMES = {number: name for name, number in _CALLS.items()}
_SECCOMP = {"x86_64": 317}.get(platform.machine(), 277)
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_PR_SET_NO_NEW_PRIVS = 38
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ASK, _ALLOW = 0x7FC00000, 0x7FFF0000

_NOTICE = struct.Struct("=QIIiIQ6Q")  #: id, process, flags, call, architecture, address, arguments
_ANSWER = struct.Struct("=QqiI")  #: id, value, error, flags
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1

#: The commands of bpf(2) by number; all others only read.
COMMANDS = {
    0: "MAP_CREATE",
    1: "MAP_LOOKUP",
    2: "MAP_UPDATE",
    3: "MAP_DELETE",
    4: "MAP_NEXT_KEY",
    5: "PROG_LOAD",
    6: "OBJ_PIN",
    7: "OBJ_GET",
    10: "PROG_TEST_RUN",
    11: "PROG_NEXT_ID",
    13: "PROG_FD_BY_ID",
    14: "MAP_FD_BY_ID",
    15: "INFO_BY_FD",
    18: "BTF_LOAD",
    24: "MAP_LOOKUP_BATCH",
    26: "MAP_UPDATE_BATCH",
    27: "MAP_DELETE_BATCH",
    30: "LINK_FD_BY_ID",
    31: "LINK_NEXT_ID",
    35: "PROG_BIND_MAP",
}
_LOOKING = {
    "MAP_LOOKUP",
    "MAP_NEXT_KEY",
    "OBJ_GET",
    "PROG_NEXT_ID",
    "PROG_FD_BY_ID",
    "MAP_FD_BY_ID",
    "INFO_BY_FD",
    "LINK_FD_BY_ID",
    "LINK_NEXT_ID",
    "BTF_LOAD",
    "MAP_LOOKUP_BATCH",
}
_GOES_WITH_THE_PROCESS = {"MAP_CREATE", "PROG_LOAD", "PROG_BIND_MAP", "ftruncate"}
_MESSAGES = {16: "NEWLINK", 18: "GETLINK", 19: "SETLINK", 36: "NEWQDISC", 37: "DELQDISC", 38: "GETQDISC"}
_MESSAGES.update({22: "GETADDR", 26: "GETROUTE", 106: "GETNEXTHOP"})
_MESSAGES.update({44: "NEWTFILTER", 45: "DELTFILTER", 46: "GETTFILTER"})

_libc = ctypes.CDLL(None, use_errno=True)

KILL = "kill"
HEADERS = "/run/pingkiller-headers"


class Step(NamedTuple):
    """A system call that the process is about to make."""

    what: str  #: name of the call, of the bpf(2) command, or of the netlink message type
    path: str = ""
    before: int = 0  #: how many such calls the process has made before

    @property
    def changes(self) -> bool:
        return self.what not in _LOOKING and not self.what.startswith("GET")

    @property
    def lasts(self) -> bool:
        """Whether the effect of the call outlives the process."""
        return self.changes and self.what not in _GOES_WITH_THE_PROCESS

    @property
    def call(self) -> tuple[str, str]:
        """Key of the steps whose repetitions ``before`` counts."""
        return self.what, self.path

    @property
    def kind(self) -> tuple[str, str]:
        """Key of the steps that do the same in the same directory."""
        return self.what, os.path.dirname(self.path) or self.path.partition("_")[0]

    def __str__(self) -> str:
        return "-".join(part for part in (self.what, self.path, self.before and str(self.before)) if part)


#: What happens to a call: None lets it pass, a number is returned as its error, KILL ends the process before it.
Decision = "int | str | None"


@contextlib.contextmanager
def deciding(decide: Callable[[Step], Decision]) -> Iterator[Callable]:
    """Yield a function for a module's process to call first; ``decide`` is then asked about its system calls."""
    ours, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    failures: list[BaseException] = []

    def answer():
        try:
            _answer_all(ours, decide)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield lambda: _hand_over(childs)
    finally:
        childs.close()
        thread.join()
        ours.close()
    if failures:
        raise failures[0]


def _hand_over(connection: socket.socket) -> None:
    """In the module's process: install the seccomp filter and send its listener to the deciding process."""
    numbers = list(_CALLS.values())
    code = struct.pack("=HBBI", _LOAD, 0, 0, 0)
    for position, number in enumerate(numbers):
        code += struct.pack("=HBBI", _JUMP_IF_EQUAL, len(numbers) - position, 0, number)
    code += struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW) + struct.pack("=HBBI", _RETURN, 0, 0, _ASK)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = _libc.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(connection, [b"."], [listener])
    os.close(listener)
    connection.close()


def _answer_all(connection: socket.socket, decide: Callable[[Step], Decision]) -> None:
    """Receive the listener, then decide until the process has ended."""
    _data, listeners, _flags, _address = socket.recv_fds(connection, 1, 1)
    if not listeners:  # the process never called _hand_over
        return
    try:
        made = Counter()
        while _call_waits(listeners[0]):
            _decide(listeners[0], made, decide)
    finally:
        os.close(listeners[0])


def _call_waits(listener: int) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return any(event & select.POLLIN for _fd, event in poll.poll())


def _decide(listener: int, made: Counter, decide: Callable[[Step], Decision]) -> None:
    notice = bytearray(_NOTICE.size)
    fcntl.ioctl(listener, _RECEIVE, notice)
    identity, process, _flags, call, _machine, _address, *arguments = _NOTICE.unpack(notice)
    step = _describe(process, _NAMES[call], arguments)
    decision = decide(step._replace(before=made[step]))
    made[step] += 1
    if decision == KILL:
        os.kill(process, signal.SIGKILL)
        return
    answer = _ANSWER.pack(identity, 0, -decision if decision else 0, 0 if decision else _CONTINUE)
    with contextlib.suppress(FileNotFoundError):  # the process is gone
        fcntl.ioctl(listener, _SEND, answer)


def _describe(process: int, name: str, arguments: list[int]) -> Step:
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:

        def read(address: int, size: int) -> bytes:
            memory.seek(address)
            return memory.read(size)

        if name == "bpf":
            command = COMMANDS.get(arguments[0], f"BPF_{arguments[0]}")
            return Step(command, _bpf_path(command, read, *arguments[1:3]))
        if name == "sendto":
            kind = struct.unpack("=IH", read(arguments[1], 6))[1]
            return Step(_MESSAGES.get(kind, f"MESSAGE_{kind}"))
        directory = name.endswith("at")
        return Step(name, "" if name == "ftruncate" else _text(read, arguments[1 if directory else 0]))


def _bpf_path(command: str, read, attributes: int, size: int) -> str:
    if command in ("OBJ_PIN", "OBJ_GET"):
        return _text(read, struct.unpack("=Q", read(attributes, 8))[0])
    if command == "MAP_CREATE" and size >= 44:  # a shorter structure has no name
        return read(attributes + 28, 16).split(b"\0")[0].decode(errors="replace")
    return ""


def _text(read, address: int) -> str:
    """Read a path; leave out the prefix that all paths have and the parts that differ from run to run."""
    found = b""
    while b"\0" not in found:
        found += read(address + len(found), 64 - (address + len(found)) % 64)  # not beyond the last page
    path = found.split(b"\0")[0].decode(errors="replace").replace("/sys/fs/bpf/", "")
    return re.sub(r"-\d+-\w{8}(?=/|$)", "", path)


@contextlib.contextmanager
def at(wanted: Step, fault: int | str | Callable[[], None]) -> Iterator[Fault]:
    """Kill a module at one of its calls, answer the call with an error, or call a function there."""
    happened = Fault()

    def decide(step: Step):
        if step != wanted:
            return None
        happened.step = step
        return fault() if callable(fault) else fault

    with deciding(decide) as prepare:
        happened.prepare = prepare
        yield happened


def of_the_day(moments, config):
    """Return the moments for a fault whose turn it is today: there are hundreds, and each takes several module runs."""
    every = config.getoption("--faults-every")
    return moments[config.getoption("--faults-day") % every :: every]


class Fault:
    """The function that a module's process calls first, and the step at which the fault happened, if it did."""

    step: Step | None = None
    prepare: Callable = staticmethod(lambda: None)


def record(run: Callable[[Callable], object]) -> list[Step]:
    """Return all steps of a run, which is given the function that its process calls first."""
    steps: list[Step] = []

    with deciding(steps.append) as prepare:
        run(prepare)
    return steps


def of_compiler(steps: list[Step]) -> set[tuple[str, str]]:
    """Return the calls made during compilation, that is, while the directory with its headers exists."""
    compiling, calls = False, set()
    for step in steps:
        if step.path == HEADERS:
            compiling = step.what.startswith("mkdir")
        if compiling or step.path.startswith(HEADERS):
            calls.add(step.call)
    return calls
