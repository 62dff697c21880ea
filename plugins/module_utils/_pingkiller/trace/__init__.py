# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trace what the processes of a host do: programs at the kernel's tracepoints count there, and this room reads the counts.

``Request.checked`` makes a request, ``run`` traces for as long as it says, and ``watch`` also gives results in between.
Nothing is pinned, so the kernel removes the programs when the process that traces ends, however it ends.
"""

from __future__ import annotations

from .request import BY, DEFAULT_NAME, PROBES, Request
from .session import plan, run, watch

__all__ = ["BY", "DEFAULT_NAME", "PROBES", "Request", "plan", "run", "watch"]
