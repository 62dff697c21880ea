# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on a host: an advisory lock that dies with its holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
import time
from collections.abc import Iterator

from .errors import PingKillerError

LOCK_FILE = "/run/pingkiller.lock"
MAX_TIMEOUT = 86400  #: seconds
_POLL_SECONDS = 0.05


def check_timeout(timeout: float) -> None:
    """Raises PingKillerError for what would be no bound, or none that anybody wants."""
    if not 0 <= timeout <= MAX_TIMEOUT:
        raise PingKillerError(f"lock_timeout={timeout:g} is out of range: give 0 to {MAX_TIMEOUT} seconds")


@contextlib.contextmanager
def host_lock(timeout: float = 30.0) -> Iterator[None]:
    """Hold the host's lock. Raises PingKillerError naming the holder if it is not free within ``timeout`` seconds.

    The file is removed before the lock is given up, so that nothing stays on the host; whoever waited on the removed
    file sees that its path leads elsewhere now and starts over.
    """
    check_timeout(timeout)
    fd = _acquire(time.monotonic() + timeout, timeout)
    try:
        yield
    finally:
        if _is_at_path(fd):
            os.unlink(LOCK_FILE)
        os.close(fd)


def _acquire(deadline: float, timeout: float) -> int:
    while True:
        fd = _open()
        if _try_lock(fd):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()} {int(time.time())} {_command()}".encode(), 0)
            return fd
        holder = os.pread(fd, 200, 0).decode(errors="replace")
        os.close(fd)
        if time.monotonic() >= deadline:
            raise PingKillerError(
                f"another PingKiller run on this host ({_describe(holder)}) kept {LOCK_FILE} for the {timeout:g} s of "
                f"lock_timeout: wait for it to end, or end it, and run again"
            )
        time.sleep(_POLL_SECONDS)


def _open() -> int:
    """The file of the lock. Raises PingKillerError for anything else, which is then left as it is."""
    try:
        fd = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise _not_ours() from None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        os.close(fd)
        raise _not_ours()
    return fd


def _not_ours() -> PingKillerError:
    return PingKillerError(
        f"{LOCK_FILE} is not the file of a lock (a link, or something of somebody else's): it was left alone; find out "
        f"who made it, remove it, and run again"
    )


def _command() -> str:
    """What this run is, as its process list would not say: Ansible's modules are all Python."""
    return os.path.basename(sys.argv[0]).removesuffix(".py") or "python"


def _describe(holder: str) -> str:
    process, _space, rest = holder.partition(" ")
    since, _space, command = rest.partition(" ")
    if not (process.isdigit() and since.isdigit()):
        return "unknown"  # it is just about to say so
    return f"process {process}, {command}, since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(int(since)))}"


def _try_lock(fd: int) -> bool:
    """Locked, and still the file that the path names."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at_path(fd)


def _is_at_path(fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(LOCK_FILE), os.fstat(fd))
    except FileNotFoundError:
        return False
