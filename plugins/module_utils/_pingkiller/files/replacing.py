# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace files that others read, at once and as a whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


def replace(path: str, pieces: Iterable[str], *, mode: int) -> None:
    """Write a file under a temporary name, and rename it when it is complete. Raises OSError, and leaves the old file then.

    The temporary name is hidden and ends in a number, so programs that read every file of a kind do not read this one.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):  # of a run that was killed
        os.unlink(temporary)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, mode)
            file.writelines(pieces)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
