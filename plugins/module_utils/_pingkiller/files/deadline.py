# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls with a deadline, also where a file system does not answer.

A process that waits for such a file system cannot go on, and may not even die. So the call is made in a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

_T = TypeVar("_T")

_in_child = False  #: whether this is a process that ``within`` has made


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Return the result of a call. Raises its exception, and TimeoutError if it takes longer than this.

    The result is pickled. A call within another such call shares its process and its deadline: if it had a second process, nobody
    would be left to end that one.
    """
    if _in_child:
        return call()
    import pickle  # before there are two processes that need it; most commands have none

    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _run_child(writer, call)
    os.close(writer)
    answer = None
    try:
        answer = _read_all(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, os.WNOHANG if answer is None else 0)
    result: _T
    result, error = pickle.loads(answer)
    if error:
        raise error
    return result


def _run_child(writer: int, call: Callable[[], object]) -> NoReturn:
    """Make the call, write its result and its exception, of which one is None, and end."""
    global _in_child
    import pickle

    _in_child = True
    answer: tuple[object, Exception | None]
    try:
        _close_all_but(writer)
        try:
            answer = call(), None
        except Exception as error:
            answer = None, error
        with open(writer, "wb") as pipe:
            pickle.dump(answer, pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _close_all_but(kept: int) -> None:
    """Close descriptors, so that nobody who waits for the end of our output, or for a lock, waits for the file system."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor != kept:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(descriptor)


def _read_all(reader: int, deadline: float) -> bytes:
    """Read a pipe to its end. ``deadline`` is of CLOCK_MONOTONIC in seconds. Raises TimeoutError."""
    parts = []
    while True:
        ready, _writable, _broken = select.select([reader], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        parts.append(os.read(reader, 1 << 20))
        if not parts[-1]:
            return b"".join(parts)
