# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the role last ended a deployment on this host: the time of an empty file beside the notes.

Its time changes at once, so a run that is killed leaves no half of it, and is written to disk with the next sync of the file
system: after a power failure, the time of the deployment before is as good. A boot does not touch it. The role touches it
itself at the end of a deployment that changed the command or units.
"""

from __future__ import annotations

import contextlib
import os
import stat

from .directory import Store

_NAME = "deployed"


def note(store: Store) -> None:
    """Note that a deployment ends now. Raises PingKillerError for a directory that is not root's alone, and OSError."""
    store.require_own()
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(_path(store), flags, 0o600)
    try:
        os.utime(fd)
    finally:
        os.close(fd)


def last(store: Store) -> int | None:
    """Return when a deployment last ended, in whole seconds of the wall clock; None if none is noted."""
    with contextlib.suppress(OSError):
        status = os.lstat(_path(store))
        return int(status.st_mtime) if stat.S_ISREG(status.st_mode) else None
    return None


def _path(store: Store) -> str:
    return os.path.join(store.directory, _NAME)
