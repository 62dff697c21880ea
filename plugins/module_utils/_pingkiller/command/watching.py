# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch whether anybody still wants the output of a subcommand that goes on until it is ended."""

from __future__ import annotations

import os
import select
import stat
import sys
import time

_SETTLED = 1.0  #: seconds from which on the end of standard input means that it is over
_GONE = select.POLLERR | select.POLLHUP | select.POLLRDHUP


class Watched:
    """Standard output, and standard input if another process holds its other end.

    When an ssh client is killed, both end. Somebody who reads nothing but does not write either would not be noticed
    otherwise. Standard input that ends at once is that of cron or of ``ssh -n``, and means nothing.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        # A socket may be both. Of one that nobody writes to any more somebody may still read.
        self._poll.register(sys.stdout, 0)
        self._settled: float | None = time.monotonic() + _SETTLED if _has_other_end() else None

    def is_over(self, seconds: float) -> bool:
        """Wait for this long, and return at once if nobody wants the output any more, and whether it is so."""
        if self._settled is not None and time.monotonic() >= self._settled:
            self._settled = None
            self._watch_input()
        return any(event & _GONE for _file, event in self._poll.poll(seconds * 1000))

    def _watch_input(self) -> None:
        now = select.poll()
        now.register(sys.stdin, select.POLLRDHUP)
        if not now.poll(0):
            self._poll.register(sys.stdin, select.POLLRDHUP)


def _has_other_end() -> bool:
    if sys.stdin is None:  # it was closed when this began
        return False
    mode = os.fstat(sys.stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
