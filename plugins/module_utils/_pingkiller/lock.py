# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on a host: an advisory lock that dies with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator

from .errors import PingKillerError

LOCK_FILE = "/run/pingkiller.lock"
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def host_lock(timeout: float = 30.0) -> Iterator[None]:
    """Hold the host's lock. Raises PingKillerError naming the holder if it is not free within ``timeout`` seconds.

    The file is removed before the lock is given up, so that nothing stays on the host; whoever waited on the removed
    file sees that its path leads elsewhere now and starts over.
    """
    fd = _acquire(time.monotonic() + timeout, timeout)
    try:
        yield
    finally:
        os.unlink(LOCK_FILE)
        os.close(fd)


def _acquire(deadline: float, timeout: float) -> int:
    while True:
        fd = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if _try_lock(fd):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()} {os.path.basename(sys.argv[0])}".encode(), 0)
            return fd
        holder = os.pread(fd, 200, 0).decode(errors="replace") or "unknown"
        os.close(fd)
        if time.monotonic() >= deadline:
            raise PingKillerError(
                f"another PingKiller run (process {holder}) held {LOCK_FILE} for {timeout:g} s: wait for it to end, or end it, "
                f"and run again"
            )
        time.sleep(_POLL_SECONDS)


def _try_lock(fd: int) -> bool:
    """Locked, and still the file that the path names."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        return os.path.samestat(os.stat(LOCK_FILE), os.fstat(fd))
    except FileNotFoundError:
        return False
