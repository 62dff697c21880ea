# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on a host, and who listens to its events: advisory locks that die with their holders."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator

from ..errors import PingKillerError

LOCK_FILE = "/run/pingkiller.lock"
LISTENER_LOCK_FILE = "/run/pingkiller-listener.lock"
LENDER_LOCK_FILE = "/run/pingkiller-lender.lock"
MAX_TIMEOUT = 86400  #: seconds
_SHORTEST, _LONGEST = 0.05, 0.25  #: seconds between two tries
_LONGEST_END = 1.0  #: seconds; the last listener holds the lock alone while it stops


def check_timeout(timeout: float) -> None:
    """Raise PingKillerError for a timeout that is no number of seconds, or longer than ``MAX_TIMEOUT``."""
    if not 0 <= timeout <= MAX_TIMEOUT:
        raise PingKillerError(f"lock_timeout={timeout:g} is out of range: give 0 to {MAX_TIMEOUT} seconds")


@contextlib.contextmanager
def host_lock(timeout: float = 30.0) -> Iterator[None]:
    """Hold the host's lock. Raises PingKillerError naming the holder if one run keeps it for ``timeout`` seconds."""
    check_timeout(timeout)
    with _held(
        LOCK_FILE,
        timeout,
        lambda holder: (
            f"another PingKiller run on this host ({holder}) kept {LOCK_FILE} for the {timeout:g} s of "
            f"lock_timeout: wait for it to end, or end it, and run again"
        ),
    ):
        yield


@contextlib.contextmanager
def listener_lock(end: Callable[[], None]) -> Iterator[None]:
    """Be one of the host's listeners. ``end`` is called when the last of them stops, before another one can begin.

    Raises PingKillerError naming the holder if an earlier version listens, which wants to be the only one.
    """
    fd = _acquire(
        LISTENER_LOCK_FILE,
        _LONGEST_END,
        lambda holder: (
            f"another run is listening to the events of this host ({holder}) and shares them with nobody: wait for it to end, "
            f"or end it, and run again"
        ),
        shared=True,
    )
    try:
        yield
    finally:
        try:
            if _try_lock(fd, fcntl.LOCK_EX):
                end()
                _remove(LISTENER_LOCK_FILE, fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def lender_lock() -> Iterator[None]:
    """Hold the lock of the only run that changes options of filters for a while, since it is the one to put them back.

    Raises PingKillerError naming the holder if it is not free.
    """
    with _held(
        LENDER_LOCK_FILE,
        0,
        lambda holder: (
            f"another run has changed options of this host's filters for a while ({holder}): use what it measures, or end it "
            f"and try again"
        ),
    ):
        yield


@contextlib.contextmanager
def _held(path: str, timeout: float, refusal: Callable[[str], str]) -> Iterator[None]:
    """Hold the lock of a file.

    The file is removed before the lock is released, so that nothing stays on the host. A process that waited for the
    removed file sees that its path has another file now, and starts over.
    """
    fd = _acquire(path, timeout, refusal)
    try:
        yield
    finally:
        _remove(path, fd)
        os.close(fd)


def _acquire(path: str, timeout: float, refusal: Callable[[str], str], *, shared: bool = False) -> int:
    """Wait for a lock. Of hundreds that wait, each gets its turn, since the time counts anew with each holder's file."""
    began = time.monotonic()
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        fd = _open(path)
        locked = _wait_for_lock(fd, kind, deadline=time.monotonic() + timeout, began=began)
        if locked and _is_at(path, fd):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()} {int(time.time())} {_command()}".encode(), 0)
            return fd
        holder = os.pread(fd, 200, 0).decode(errors="replace")
        os.close(fd)
        if not locked:
            raise PingKillerError(refusal(_describe(holder)))
        # Else its holder had removed it before letting it go.


def _wait_for_lock(fd: int, kind: int, *, deadline: float, began: float) -> bool:
    """Wait until this process has the lock of a file. Return False if it is not free by the deadline.

    Who has been waiting for seconds tries less often, so that hundreds who wait leave the processors to the holder.
    """
    while not _try_lock(fd, kind):
        now = time.monotonic()
        if now >= deadline:
            return False
        time.sleep(min(max(_SHORTEST, (now - began) / 20), _LONGEST))
    return True


def _open(path: str) -> int:
    """Open the file of a lock. Raises PingKillerError for anything else, which stays as it is."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise _not_ours(path) from None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        os.close(fd)
        raise _not_ours(path)
    return fd


def _not_ours(path: str) -> PingKillerError:
    return PingKillerError(
        f"{path} is not a lock file as PingKiller makes it (it may be a link, or belong to somebody else): it was left alone; "
        f"find out who made it, remove it, and run again"
    )


def _command() -> str:
    """Return the name of this run. The process list does not have it, since Ansible's modules are all Python."""
    return os.path.basename(sys.argv[0]).removesuffix(".py") or "python"


def _describe(holder: str) -> str:
    process, _space, rest = holder.partition(" ")
    since, _space, command = rest.partition(" ")
    if not (process.isdigit() and since.isdigit()):
        return "unknown"  # the holder has not written it yet
    return f"process {process}, {command}, since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(int(since)))}"


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: str, fd: int) -> None:
    """Remove the file of a lock that is held. One that somebody has put in its place stays."""
    if _is_at(path, fd):
        os.unlink(path)


def _is_at(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
